"""Every way to install keeps to the rules of the chart."""

from __future__ import annotations

from pathlib import Path

import kubernetes_schemas
import policy_network
import policy_objects
import policy_platform
import policy_pods
import pytest
from chart_matrix import EVERY, existing_of, rendered, values_of

RULES = [
    policy_pods.resources,
    policy_pods.probes,
    policy_pods.restricted,
    policy_pods.images,
    policy_pods.tokens,
    policy_pods.jobs,
    policy_pods.unique,
    policy_objects.names,
    policy_objects.selectors,
    policy_objects.services,
    policy_objects.probe_ports,
    policy_objects.ingresses,
    policy_objects.rights,
    policy_objects.claims,
    policy_objects.numbers,
    policy_platform.commands,
]
NETWORK_RULES = [
    policy_network.covered,
    policy_network.twins,
    policy_network.listening,
    policy_network.not_open,
    policy_network.credentials_reach,
]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule, name):
    assert rule(rendered(name).objects) == []


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("rule", NETWORK_RULES, ids=lambda rule: rule.__name__)
def test_network_rule_holds(rule, name):
    if not values_of(name).get("networkPolicy", {}).get("enabled", True):
        assert rendered(name).of_kind("NetworkPolicy") == []
        return
    assert rule(rendered(name).objects) == []


@pytest.mark.parametrize("name", EVERY)
def test_every_reference_leads_somewhere(name):
    assert policy_objects.references(rendered(name).objects, existing_of(name)) == []


@pytest.mark.parametrize("name", EVERY)
def test_settings_are_accepted_by_the_settings_model(name, tmp_path: Path):
    assert policy_platform.settings(rendered(name).objects, tmp_path) == []


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("version", kubernetes_schemas.VERSIONS)
def test_objects_satisfy_kubernetes_schemas(version, name):
    assert kubernetes_schemas.check(rendered(name).objects, version) == []


@pytest.mark.parametrize("name", EVERY)
def test_notes_say_what_to_do_first(name):
    notes = rendered(name).notes
    assert "kubectl" in notes
    assert "<no value>" not in notes
    assert "%!" not in notes
