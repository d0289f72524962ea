"""The tables that the engines write, declared once: each engine's script makes its own schema of them."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

SOURCE = {name: "string" for name in ["type", "repo", "path", "commit", "author", "message"]}
EVIDENCE = {"source": "string", "url": "string", "excerpt": "string", "score": "double", "observed_at": "timestamp"}

# A column: its name in the file, the member of the event it comes from, its type there. A dict is a struct, a list holds its item's
# type. A key: its name, how it is made ("day", "same" or "mod 10") of which member.
EVENTS = {
    "spec": "schemas/tables/attribute_events.toml",
    "columns": [
        ("event_id", "event_id", "string"),
        ("entity_id", "entity_id", "bigint"),
        ("op", "op", "string"),
        ("value", "value", "string"),
        ("previous_value", "previous_value", "string"),
        ("created_at", "created_at", "timestamp"),
        ("source", "source", SOURCE),
        ("evidence", "evidence", [EVIDENCE]),
    ],
    "keys": [("created_date", "day", "created_at"), ("attribute_name", "same", "attribute_name"), ("entity_id_mod", "mod 10", "entity_id")],
    "jq": {"created_date": ".created_at | utc_date", "attribute_name": ".attribute_name", "entity_id_mod": ".entity_id | bucket(10)"},
    # Where Alluvium's table has a column elsewhere.
    "ours": {"source": ["source_commit" if name == "commit" else f'source."{name}"' for name in SOURCE]},
}

EDITS = {
    "spec": "schemas/tables/wikipedia_edits.toml",
    "columns": [
        ("edited_at", "timestamp", "timestamp"),
        ("page", "page", "string"),
        ("namespace", "namespace", "string"),
        ("user", "user", "string"),
        ("comment", "comment", "string"),
        ("comment_length", "commentLength", "int"),
        ("diff_url", "diffUrl", "string"),
        ("flags", "flags", "string"),
        ("added", "added", "bigint"),
        ("deleted", "deleted", "bigint"),
        ("delta", "delta", "bigint"),
        ("delta_bucket", "deltaBucket", "double"),
        ("is_anonymous", "isAnonymous", "boolean"),
        ("is_minor", "isMinor", "boolean"),
        ("is_new", "isNew", "boolean"),
        ("is_robot", "isRobot", "boolean"),
        ("is_unpatrolled", "isUnpatrolled", "boolean"),
        ("city_name", "cityName", "string"),
        ("country_name", "countryName", "string"),
        ("country_iso_code", "countryIsoCode", "string"),
        ("region_name", "regionName", "string"),
        ("region_iso_code", "regionIsoCode", "string"),
        ("metro_code", "metroCode", "int"),
    ],
    "keys": [("edit_date", "day", "timestamp"), ("channel", "same", "channel")],
    "jq": {"edit_date": ".timestamp | utc_date", "channel": ".channel"},
    "ours": {},
}

# Numbers that the table has as text.
AS_TEXT = {"entity_id"}

TABLES = {"full": EVENTS, "small": EVENTS, "edits": EDITS}


def members(table):
    """Every member that is read, with its type: columns first, then what only keys use."""
    found = {member: kind for _, member, kind in table["columns"]}
    for _, _, member in table["keys"]:
        found.setdefault(member, "string")
    return found


def bare_spec(table):
    """The table's spec without what the peers do not do: sort order, bloom filters, columns that tell where a row is from."""
    text = (ROOT / table["spec"]).read_text()
    text = re.sub(r"^(sort|bloom) = .*\n", "", text, flags=re.MULTILINE)
    return text.replace("version = 1\n", "version = 1\nmetadata = false\n", 1)


def whole_spec(table):
    return (ROOT / table["spec"]).read_text()
