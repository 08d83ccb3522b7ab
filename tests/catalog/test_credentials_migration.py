"""Moving credentials out of channels opens none of them, and can be undone."""

from __future__ import annotations

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from catalog.channels import add_channel
from catalog.credentials import open_credential
from catalog.models import Channel, Provider
from tests.catalog.builders import BuildModel

KEY = "sk-acme-0123456789"


def test_a_credential_opens_after_its_move_back_and_forth(acme: Provider, build_model: BuildModel) -> None:
    channel = add_channel(channel=Channel(provider=acme, base_url="https://acme.example/v1"), credential=KEY)
    leaf = MigrationExecutor(connection).loader.graph.leaf_nodes("catalog")

    with connection.cursor() as cursor:
        # Rows that are still to be checked keep their tables as they are.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        MigrationExecutor(connection).migrate([("catalog", "0006_incidents")])
        cursor.execute("SELECT sealed_credential, credential_last4 FROM catalog_channel")
        [(sealed, last4)] = cursor.fetchall()
    MigrationExecutor(connection).migrate(leaf)

    assert (bool(sealed), last4) == (True, "6789")
    assert open_credential(channel=Channel.objects.get(pk=channel.pk)) == KEY
