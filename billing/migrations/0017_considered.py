from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("billing", "0016_packed_histograms"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagerecord",
            name="considered",
            field=models.JSONField(
                blank=True,
                help_text="The channels there were to choose from, as they stood when one failed or was passed over.",
                null=True,
            ),
        ),
    ]
