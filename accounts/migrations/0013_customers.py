"""What staff needs to find customers and to look after them: notes, a frozen state, indexes of keys by what people tell of them."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

GUARD = """
CREATE FUNCTION accounts_guard_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are only added', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER accounts_note_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_organizationnote
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_guard_note();
"""
NO_GUARD = """
DROP TRIGGER accounts_note_append_only ON accounts_organizationnote;
DROP FUNCTION accounts_guard_note();
"""


class Migration(migrations.Migration):
    """Adds them."""

    dependencies = [
        ('accounts', '0012_notices'),
    ]

    operations = [
        migrations.CreateModel(
            name='OrganizationNote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('text', models.TextField(max_length=2000)),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                'verbose_name': 'note',
            },
        ),
        migrations.AlterModelOptions(
            name='organization',
            options={'permissions': [('freeze_organization', 'Can freeze an organization and let it go on'), ('mail_organization', 'Can send mails to a customer again')]},
        ),
        migrations.AlterModelOptions(
            name='user',
            options={'permissions': [('hijack_user', 'Can log in as a customer, to look')]},
        ),
        migrations.AddField(
            model_name='organization',
            name='frozen_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since when staff lets none of its keys in.', null=True),
        ),
        migrations.AddIndex(
            model_name='apikey',
            index=models.Index(fields=['last4'], name='key_by_last4'),
        ),
        migrations.AddIndex(
            model_name='apikey',
            index=models.Index(fields=['prefix'], name='key_by_prefix'),
        ),
        migrations.AddField(
            model_name='organizationnote',
            name='author',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='organizationnote',
            name='organization',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='notes', to='accounts.organization'),
        ),
        migrations.AddIndex(
            model_name='organizationnote',
            index=models.Index(fields=['organization', '-id'], name='note_by_organization'),
        ),
        migrations.AddConstraint(
            model_name='organizationnote',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='note_says_something'),
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
