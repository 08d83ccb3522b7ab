"""Kinds and traits of models; prices by more units than text, and by the hour of the week."""

from __future__ import annotations

from django.db import migrations, models

BASE_TIER = """
CREATE OR REPLACE FUNCTION catalog_require_base_tier() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM catalog_pricetier WHERE price_id = NEW.id AND above_tokens = 0{usual};
    IF NOT FOUND THEN
        RAISE EXCEPTION 'price % has no base tier (above 0 tokens)', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
"""
USUAL = BASE_TIER.format(usual=" AND during = ''")
ANY = BASE_TIER.format(usual="")

WINDOWS = """
CREATE FUNCTION catalog_require_window_base() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM catalog_pricetier WHERE price_id = NEW.id GROUP BY during HAVING min(above_tokens) > 0;
    IF FOUND THEN
        RAISE EXCEPTION 'price % has a window without a base tier (above 0 tokens)', NEW.id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER price_windows_have_base_tier AFTER INSERT ON catalog_price
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION catalog_require_window_base();
"""
# Without the column that tells them apart, rates of windows would stand twice beside the usual ones.
NO_WINDOWS = """
DROP TRIGGER price_windows_have_base_tier ON catalog_price;
DROP FUNCTION catalog_require_window_base();
ALTER TABLE catalog_pricetier DISABLE TRIGGER price_tier_is_final;
DELETE FROM catalog_pricetier WHERE during <> '';
ALTER TABLE catalog_pricetier ENABLE TRIGGER price_tier_is_final;
UPDATE catalog_catalogmodel SET max_output = 1 WHERE max_output = 0;
"""


class Migration(migrations.Migration):
    """Adds kinds, traits, units and windows."""

    dependencies = [
        ('catalog', '0002_guard_prices'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='catalogmodel',
            name='model_max_output_positive',
        ),
        migrations.RemoveConstraint(
            model_name='pricetier',
            name='tier_once',
        ),
        migrations.AddField(
            model_name='catalogmodel',
            name='kind',
            field=models.CharField(choices=[('chat', 'Chat'), ('embedding', 'Embedding'), ('image', 'Image'), ('speech', 'Speech'), ('transcription', 'Transcription'), ('moderation', 'Moderation')], default='chat', max_length=20),
        ),
        migrations.AddField(
            model_name='catalogmodel',
            name='traits',
            field=models.JSONField(blank=True, default=list, help_text='For the adapters; callers do not see it.'),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='audio_input',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='audio_output',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='cache_write_1h',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='cached_audio_input',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='character',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='during',
            field=models.CharField(blank=True, default='', help_text='Hours (UTC) in which the rates hold, such as mon-fri 01:00-04:00; empty: always.', max_length=40),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='image',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='image_input',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='search',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='pricetier',
            name='second',
            field=models.PositiveBigIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='catalogmodel',
            name='max_output',
            field=models.PositiveIntegerField(help_text='Most tokens one answer may have; 0 for a model that writes none.'),
        ),
        migrations.AlterField(
            model_name='channel',
            name='adapter',
            field=models.CharField(choices=[('openai', 'OpenAI-compatible'), ('openai_responses', 'OpenAI: chat and Responses'), ('anthropic', 'Anthropic'), ('gemini', 'Gemini'), ('deepseek', 'DeepSeek'), ('qwen', 'Qwen'), ('azure', 'Azure OpenAI'), ('bedrock', 'Amazon Bedrock'), ('vertex', 'Vertex AI')], default='openai', max_length=20),
        ),
        migrations.AlterField(
            model_name='provider',
            name='adapter',
            field=models.CharField(choices=[('openai', 'OpenAI-compatible'), ('openai_responses', 'OpenAI: chat and Responses'), ('anthropic', 'Anthropic'), ('gemini', 'Gemini'), ('deepseek', 'DeepSeek'), ('qwen', 'Qwen'), ('azure', 'Azure OpenAI'), ('bedrock', 'Amazon Bedrock'), ('vertex', 'Vertex AI')], default='openai', max_length=20),
        ),
        migrations.AddConstraint(
            model_name='catalogmodel',
            constraint=models.CheckConstraint(condition=models.Q(('max_output__gt', 0), models.Q(('kind', 'chat'), _negated=True), _connector='OR'), name='model_max_output_positive'),
        ),
        migrations.AddConstraint(
            model_name='pricetier',
            constraint=models.UniqueConstraint(fields=('price', 'during', 'above_tokens'), name='tier_once'),
        ),
        migrations.AddConstraint(
            model_name='pricetier',
            constraint=models.CheckConstraint(condition=models.Q(('during', ''), ('during__regex', '^((mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))? )?([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'), _connector='OR'), name='tier_during_known'),
        ),
        migrations.RunSQL(USUAL, ANY),
        migrations.RunSQL(WINDOWS, NO_WINDOWS),
    ]
