from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds the indexes of the log of requests; each month's partition gets them, too."""

    dependencies = [
        ('billing', '0012_exports'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='usagerecord',
            index=models.Index(fields=['organization', 'key_id', '-started_at', 'request_id'], name='usage_by_key'),
        ),
        migrations.AddIndex(
            model_name='usagerecord',
            index=models.Index(fields=['organization', 'model_id', '-started_at', 'request_id'], name='usage_by_model'),
        ),
        migrations.AddIndex(
            model_name='usagerecord',
            index=models.Index(fields=['organization', '-cost_nano', '-started_at', 'request_id'], name='usage_by_cost'),
        ),
        migrations.AddIndex(
            model_name='usagerecord',
            index=models.Index(condition=models.Q(models.Q(('outcome', 'completed'), _negated=True), ('status__gte', 400), _connector='OR'), fields=['organization', '-started_at', 'request_id'], name='usage_troubled'),
        ),
    ]
