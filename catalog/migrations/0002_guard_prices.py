"""Prices are history: the database refuses to edit, delete or complete one after its transaction."""

from __future__ import annotations

from django.db import migrations

GUARD = """
CREATE FUNCTION catalog_refuse_price_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: a price is never edited, only succeeded', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION catalog_stamp_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := transaction_timestamp();
    RETURN NEW;
END $$;

CREATE FUNCTION catalog_refuse_late_tier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM catalog_price WHERE id = NEW.price_id AND created_at <> transaction_timestamp();
    IF FOUND THEN
        RAISE EXCEPTION 'a tier may join a price only in the transaction that makes the price'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION catalog_require_base_tier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM catalog_pricetier WHERE price_id = NEW.id AND above_tokens = 0;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'price % has no base tier (above 0 tokens)', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER price_is_final BEFORE UPDATE OR DELETE ON catalog_price
    FOR EACH ROW EXECUTE FUNCTION catalog_refuse_price_change();
CREATE TRIGGER price_tier_is_final BEFORE UPDATE OR DELETE ON catalog_pricetier
    FOR EACH ROW EXECUTE FUNCTION catalog_refuse_price_change();
CREATE TRIGGER price_is_stamped BEFORE INSERT ON catalog_price
    FOR EACH ROW EXECUTE FUNCTION catalog_stamp_price();
CREATE TRIGGER price_tier_is_in_time BEFORE INSERT ON catalog_pricetier
    FOR EACH ROW EXECUTE FUNCTION catalog_refuse_late_tier();
CREATE CONSTRAINT TRIGGER price_has_base_tier AFTER INSERT ON catalog_price
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION catalog_require_base_tier();
"""

UNGUARD = """
DROP TRIGGER price_has_base_tier ON catalog_price;
DROP TRIGGER price_tier_is_in_time ON catalog_pricetier;
DROP TRIGGER price_is_stamped ON catalog_price;
DROP TRIGGER price_tier_is_final ON catalog_pricetier;
DROP TRIGGER price_is_final ON catalog_price;
DROP FUNCTION catalog_require_base_tier();
DROP FUNCTION catalog_refuse_late_tier();
DROP FUNCTION catalog_stamp_price();
DROP FUNCTION catalog_refuse_price_change();
"""


class Migration(migrations.Migration):
    """Adds the guards of prices and price tiers."""

    dependencies = [("catalog", "0001_initial")]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
