"""The audit's questions to PostgreSQL; each query returns one culprit a row."""

from __future__ import annotations

from billing import ledger_days, served_days, usage_recount

# Stands before every query: what the ledger owes each organization, in all and on its promotional side, and what it
# has used, in all and beyond its holds. PostgreSQL computes only what a query asks for.
_COMMON = """
WITH credits AS (
    SELECT account.organization_id, -sum(posting.amount_nano) AS credit,
           -coalesce(sum(posting.amount_nano) FILTER (WHERE account.code = 'wallet_promo'), 0) AS promo
    FROM billing_posting posting JOIN billing_account account ON account.id = posting.account_id
    WHERE account.organization_id IS NOT NULL GROUP BY account.organization_id
), used AS (
    SELECT organization_id, sum(cost_nano) AS cost,
           sum(greatest(cost_nano - hold_nano, 0)) AS overshoot FROM billing_usagerecord GROUP BY organization_id
)
"""

_UNBALANCED = """
SELECT format('%s: %s postings of %s, sum %s nano-USD', journal.id, count(posting.id), journal.legs,
              coalesce(sum(posting.amount_nano), 0)) AS culprit
FROM billing_journal journal LEFT JOIN billing_posting posting ON posting.journal_id = journal.id
GROUP BY journal.id HAVING coalesce(sum(posting.amount_nano), 0) <> 0 OR count(posting.id) <> journal.legs
"""

_TRIAL_BALANCE = """
SELECT format('the whole ledger: sum %s nano-USD', sum(amount_nano)) AS culprit
FROM billing_posting HAVING sum(amount_nano) <> 0
"""

_WALLETS = """
SELECT format('%s: wallet %s nano-USD and %s unposted, ledger %s', organization_id, wallet.balance_nano,
              wallet.unposted_nano, coalesce(credits.credit, 0)) AS culprit
FROM billing_wallet wallet FULL JOIN credits USING (organization_id)
WHERE coalesce(wallet.balance_nano + wallet.unposted_nano, 0) <> coalesce(credits.credit, 0)
"""

# While an organization owes us its lots are empty.
_LOTS = """
SELECT format('%s: lots of %s nano-USD (%s not bought), ledger %s (%s not bought)', organization_id,
              coalesce(lots.remaining, 0), coalesce(lots.promo, 0), coalesce(credits.credit, 0),
              coalesce(credits.promo, 0)) AS culprit
FROM (SELECT organization_id, sum(remaining_nano) AS remaining,
             coalesce(sum(remaining_nano) FILTER (WHERE kind <> 'paid'), 0) AS promo
      FROM billing_creditlot GROUP BY organization_id) AS lots
FULL JOIN credits USING (organization_id)
WHERE coalesce(lots.remaining, 0) <> greatest(coalesce(credits.credit, 0), 0)
   OR coalesce(lots.promo, 0) <> coalesce(credits.promo, 0)
"""

# Everything that was ever credited or taken back, minus everything that was used, is the balance.
_CREDITED_MINUS_USED = """
SELECT format('%s: credited %s and used %s nano-USD, but the wallet has %s', organization_id,
              coalesce(credited.nano, 0), coalesce(used.cost, 0), coalesce(wallet.balance_nano, 0)) AS culprit
FROM billing_wallet wallet
FULL JOIN (SELECT account.organization_id, -sum(posting.amount_nano) AS nano
           FROM billing_posting posting JOIN billing_account account ON account.id = posting.account_id
           JOIN billing_journal journal ON journal.id = posting.journal_id
           WHERE account.organization_id IS NOT NULL AND journal.kind <> 'usage'
           GROUP BY account.organization_id) AS credited USING (organization_id)
FULL JOIN used USING (organization_id)
WHERE coalesce(credited.nano, 0) - coalesce(used.cost, 0) <> coalesce(wallet.balance_nano, 0)
"""

# For whom a request counts; what users who are gone have spent is left as it stands. Days are kept from the first one
# that is known: what came before has its months only.
_SPEND = """
SELECT format('%s in %s: %s nano-USD spent, usage records of %s', subject, period, coalesce(spend.cost_nano, 0),
              coalesce(used.cost, 0)) AS culprit
FROM (SELECT * FROM billing_spend WHERE left(subject, 5) <> 'user_'
      OR EXISTS (SELECT FROM accounts_apikey key WHERE 'user_' || key.created_by_id = subject)) AS spend
FULL JOIN (SELECT record.organization_id, subject, period, sum(cost_nano) AS cost
           FROM billing_usagerecord record LEFT JOIN accounts_apikey key ON key.id = record.key_id
           CROSS JOIN LATERAL (VALUES (key_id), (record.organization_id), ('user_' || key.created_by_id)) AS of (subject)
           CROSS JOIN LATERAL (VALUES (to_char(started_at AT TIME ZONE 'UTC', 'YYYYMM')::integer),
                                      (to_char(started_at AT TIME ZONE 'UTC', 'YYYYMMDD')::integer)) AS during (period)
           WHERE subject IS NOT NULL
             AND (period < 1000000 OR period >= (SELECT min(period) FROM billing_spend WHERE period >= 1000000))
           GROUP BY 1, 2, 3) AS used USING (organization_id, subject, period)
WHERE coalesce(spend.cost_nano, 0) <> coalesce(used.cost, 0)
"""

# Below its floor a wallet may only be by what upstreams reported beyond their holds, by what came in late, after its
# hold was given up with a dead letter, and by payments that Stripe has taken back
# or staff has booked as taken back.
_OVERDRAWN = """
SELECT format('%s: %s nano-USD, floor %s, beyond holds %s, taken back %s', wallet.organization_id,
              wallet.balance_nano, wallet.floor_nano, coalesce(used.overshoot, 0) + coalesce(late.cost, 0),
              coalesce(taken.nano, 0)) AS culprit
FROM billing_wallet wallet
LEFT JOIN used USING (organization_id)
LEFT JOIN (SELECT record.organization_id, sum(record.cost_nano) AS cost FROM billing_usagerecord record
           JOIN billing_deadletter letter ON letter.request_id = record.request_id
           GROUP BY record.organization_id) AS late USING (organization_id)
LEFT JOIN (SELECT account.organization_id, greatest(sum(posting.amount_nano), 0) AS nano
           FROM billing_posting posting JOIN billing_account account ON account.id = posting.account_id
           JOIN billing_journal journal ON journal.id = posting.journal_id
           WHERE journal.kind IN ('refund', 'refund_failed', 'dispute', 'correction') AND account.organization_id IS NOT NULL
           GROUP BY account.organization_id) AS taken USING (organization_id)
WHERE wallet.balance_nano < wallet.floor_nano - coalesce(used.overshoot, 0) - coalesce(late.cost, 0)
                            - coalesce(taken.nano, 0)
"""

_TWICE = """
SELECT format('%s: %s usage records', request_id, count(*)) AS culprit
FROM billing_usagerecord GROUP BY request_id HAVING count(*) > 1
"""

# Half to even, as fastanchor.lib.money rounds.
_MISPRICED = """
SELECT format('%s: %s pico-USD charged as %s nano-USD', request_id, cost_picos, cost_nano) AS culprit
FROM billing_usagerecord
WHERE cost_nano <> cost_picos / 1000
    + CASE WHEN cost_picos % 1000 > 500 OR (cost_picos % 1000 = 500 AND cost_picos / 1000 % 2 = 1) THEN 1 ELSE 0 END
"""

_NO_ATTEMPT = """
SELECT format('%s: no attempt was made', request_id) AS culprit
FROM billing_usagerecord WHERE attempts < 1 AND outcome NOT IN ('failed', 'free')
"""

# Speech is billed by the character, transcription by the second: their records have no tokens.
_CHARGED_FOR_NOTHING = """
SELECT format('%s: %s with status %s, %s tokens in, %s out, %s beside tokens, charged %s nano-USD', request_id, outcome,
              status, input_tokens, output_tokens, images + searches + characters + seconds, cost_nano) AS culprit
FROM billing_usagerecord
WHERE cost_nano > 0 AND outcome <> 'interrupted'
  AND (is_own_key OR input_tokens + output_tokens + images + searches + characters + seconds = 0
       OR (outcome IN ('completed', 'cut') AND status >= 400))
"""

_NO_DOCUMENT = """
SELECT format('%s: a %s without its document', journal.id, journal.kind) AS culprit
FROM billing_journal journal LEFT JOIN billing_invoice invoice ON invoice.journal_id = journal.id
WHERE journal.kind IN ('top_up', 'refund', 'refund_failed') AND invoice.number IS NULL
"""

# Positions begin with 1 and are unique: as many as the last says are all of them.
_GAPS = """
SELECT format('%s: %s documents, the last has number %s, the counter says %s', year, count(invoice.number),
              coalesce(max(invoice.position), 0), counter.last) AS culprit
FROM billing_invoice invoice FULL JOIN billing_invoicecounter counter USING (year)
GROUP BY year, counter.last
HAVING count(invoice.number) <> coalesce(max(invoice.position), 0)
    OR coalesce(max(invoice.position), 0) IS DISTINCT FROM counter.last
"""

_DOCUMENT_AMOUNT = """
SELECT format('%s: of %s cents, journal %s moved %s nano-USD', invoice.number, invoice.amount_cents,
              invoice.journal_id, coalesce(cash.nano, 0)) AS culprit
FROM billing_invoice invoice
LEFT JOIN (SELECT posting.journal_id, sum(posting.amount_nano) AS nano
           FROM billing_posting posting JOIN billing_account account ON account.id = posting.account_id
           WHERE account.code IN ('stripe_clearing', 'manual_clearing') GROUP BY posting.journal_id) AS cash
    USING (journal_id)
WHERE invoice.amount_cents * 10000000
    <> CASE invoice.kind WHEN 'credit_note' THEN -coalesce(cash.nano, 0) ELSE coalesce(cash.nano, 0) END
"""

_SETTLED_AND_HELD = """
SELECT format('%s: settled, and still holds %s nano-USD in PostgreSQL', hold.request_id, hold.amount_nano) AS culprit
FROM billing_degradedhold hold
WHERE EXISTS (SELECT FROM billing_usagerecord record WHERE record.request_id = hold.request_id)
"""

CHECKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "I1": ("Every journal, and so the whole ledger, sums to zero.", (_UNBALANCED, _TRIAL_BALANCE)),
    "I2": ("Every wallet and its lots equal the postings of its accounts.", (_WALLETS, _LOTS)),
    "I3": (
        "Credit minus usage is the balance; keys, members and organizations have spent what they used.",
        (_CREDITED_MINUS_USED, _SPEND),
    ),
    "I4": ("No wallet is below its floor beyond what upstreams reported above their holds.", (_OVERDRAWN,)),
    "I5": (
        "Every request has one usage record, and costs its exact price rounded once.",
        (_TWICE, _MISPRICED),
    ),
    "I6": (
        "Nobody pays for a request that made no attempt or delivered nothing.",
        (_NO_ATTEMPT, _CHARGED_FOR_NOTHING),
    ),
    "I13": (
        "Every top-up and refund has one document of its amount, and their numbers have no gap.",
        (_NO_DOCUMENT, _GAPS, _DOCUMENT_AMOUNT),
    ),
    "I14": ("The sums of usage by hour and by day are those of the records.", (usage_recount.differing(),)),
    "I15": ("No request that is settled holds money in PostgreSQL.", (_SETTLED_AND_HELD,)),
    "I16": (
        "The sums of the ledger and of what providers served, by day, are those of the postings and records.",
        (ledger_days.DIFFERING, served_days.DIFFERING),
    ),
}


def bounded(query: str, *, limit: int) -> str:
    """Return the whole statement of one of the queries above, for at most ``limit`` culprits."""
    return f"{_COMMON} {query} LIMIT {limit}"
