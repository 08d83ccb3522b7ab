from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_stored_responses'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='apikey',
            name='key_budget_total_positive',
        ),
        migrations.RemoveConstraint(
            model_name='apikey',
            name='key_budget_month_positive',
        ),
        migrations.AddField(
            model_name='apikey',
            name='budget_day_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per day (UTC), in nano-USD.', null=True, verbose_name='daily budget'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='budget_week_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per week from Monday (UTC), in nano-USD.', null=True, verbose_name='weekly budget'),
        ),
        migrations.AddField(
            model_name='membership',
            name='budget_day_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per day (UTC), in nano-USD.', null=True, verbose_name='daily budget'),
        ),
        migrations.AddField(
            model_name='membership',
            name='budget_month_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per month (UTC), in nano-USD.', null=True, verbose_name='monthly budget'),
        ),
        migrations.AddField(
            model_name='membership',
            name='budget_total_nano',
            field=models.BigIntegerField(blank=True, help_text='Most ever, in nano-USD.', null=True, verbose_name='lifetime budget'),
        ),
        migrations.AddField(
            model_name='membership',
            name='budget_week_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per week from Monday (UTC), in nano-USD.', null=True, verbose_name='weekly budget'),
        ),
        migrations.AddField(
            model_name='organization',
            name='budget_day_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per day (UTC), in nano-USD.', null=True, verbose_name='daily budget'),
        ),
        migrations.AddField(
            model_name='organization',
            name='budget_month_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per month (UTC), in nano-USD.', null=True, verbose_name='monthly budget'),
        ),
        migrations.AddField(
            model_name='organization',
            name='budget_total_nano',
            field=models.BigIntegerField(blank=True, help_text='Most ever, in nano-USD.', null=True, verbose_name='lifetime budget'),
        ),
        migrations.AddField(
            model_name='organization',
            name='budget_week_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per week from Monday (UTC), in nano-USD.', null=True, verbose_name='weekly budget'),
        ),
        migrations.AlterField(
            model_name='apikey',
            name='budget_month_nano',
            field=models.BigIntegerField(blank=True, help_text='Most per month (UTC), in nano-USD.', null=True, verbose_name='monthly budget'),
        ),
        migrations.AlterField(
            model_name='apikey',
            name='budget_total_nano',
            field=models.BigIntegerField(blank=True, help_text='Most ever, in nano-USD.', null=True, verbose_name='lifetime budget'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('budget_day_nano__gte', 0), ('budget_month_nano__gte', 0), ('budget_total_nano__gte', 0), ('budget_week_nano__gte', 0)), name='apikey_budgets_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.CheckConstraint(condition=models.Q(('budget_day_nano__gte', 0), ('budget_month_nano__gte', 0), ('budget_total_nano__gte', 0), ('budget_week_nano__gte', 0)), name='membership_budgets_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='organization',
            constraint=models.CheckConstraint(condition=models.Q(('budget_day_nano__gte', 0), ('budget_month_nano__gte', 0), ('budget_total_nano__gte', 0), ('budget_week_nano__gte', 0)), name='organization_budgets_not_negative'),
        ),
    ]
