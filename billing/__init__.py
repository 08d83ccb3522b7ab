"""Whose money: ledger, wallet, lots, usage records, holds, spool."""
