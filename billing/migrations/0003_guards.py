"""Guards in the database itself: balanced journals, append-only tables, wallet versions that only grow."""

from __future__ import annotations

from django.db import migrations

BALANCED = """
CREATE FUNCTION billing_check_balance(checked_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    journal billing_journal%ROWTYPE;
    leg_count bigint;
    total numeric;
    strangers bigint;
BEGIN
    SELECT * INTO STRICT journal FROM billing_journal WHERE id = checked_id;
    SELECT count(*), coalesce(sum(posting.amount_nano), 0),
           count(*) FILTER (WHERE account.organization_id IS NOT NULL
                            AND account.organization_id IS DISTINCT FROM journal.organization_id)
        INTO leg_count, total, strangers
        FROM billing_posting posting JOIN billing_account account ON account.id = posting.account_id
        WHERE posting.journal_id = checked_id;
    IF total <> 0 THEN
        RAISE EXCEPTION 'journal % is out of balance by % nano-USD', checked_id, total USING ERRCODE = 'check_violation';
    END IF;
    IF leg_count <> journal.legs THEN
        RAISE EXCEPTION 'journal % has % postings instead of %', checked_id, leg_count, journal.legs
            USING ERRCODE = 'check_violation';
    END IF;
    IF strangers > 0 THEN
        RAISE EXCEPTION 'journal % moves money of another organization', checked_id USING ERRCODE = 'check_violation';
    END IF;
END $$;

CREATE FUNCTION billing_check_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing_check_balance(NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION billing_check_posting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM billing_check_balance(NEW.journal_id);
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER billing_journal_balanced AFTER INSERT ON billing_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_journal();
CREATE CONSTRAINT TRIGGER billing_posting_balanced AFTER INSERT ON billing_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION billing_check_posting();
"""
NOT_BALANCED = """
DROP TRIGGER billing_posting_balanced ON billing_posting;
DROP TRIGGER billing_journal_balanced ON billing_journal;
DROP FUNCTION billing_check_posting();
DROP FUNCTION billing_check_journal();
DROP FUNCTION billing_check_balance(text);
"""

APPEND_ONLY = """
CREATE TRIGGER billing_journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_journal
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER billing_posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billing_posting
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
"""
NOT_APPEND_ONLY = """
DROP TRIGGER billing_posting_append_only ON billing_posting;
DROP TRIGGER billing_journal_append_only ON billing_journal;
"""

# The wallet's row changes at every settlement; room on its page keeps the update in place.
WALLET = """
CREATE FUNCTION billing_check_wallet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version < OLD.version OR (NEW.version = OLD.version AND
        (NEW.balance_nano, NEW.floor_nano, NEW.state) IS DISTINCT FROM (OLD.balance_nano, OLD.floor_nano, OLD.state))
    THEN
        RAISE EXCEPTION 'wallet % changes without a newer version', OLD.organization_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_wallet_version BEFORE UPDATE ON billing_wallet
    FOR EACH ROW EXECUTE FUNCTION billing_check_wallet();
ALTER TABLE billing_wallet SET (fillfactor = 50);
ALTER TABLE billing_keyspend SET (fillfactor = 50);
"""
NO_WALLET = """
ALTER TABLE billing_keyspend RESET (fillfactor);
ALTER TABLE billing_wallet RESET (fillfactor);
DROP TRIGGER billing_wallet_version ON billing_wallet;
DROP FUNCTION billing_check_wallet();
"""


class Migration(migrations.Migration):
    """Adds the guards of journals, postings and wallets."""

    dependencies = [("billing", "0002_usage_records")]
    operations = [
        migrations.RunSQL(BALANCED, NOT_BALANCED),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
        migrations.RunSQL(WALLET, NO_WALLET),
    ]
