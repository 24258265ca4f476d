"""Checks a result folder from outside: check_run.py FOLDER SERVER [TRANSPORT]."""
import csv
import sys

folder, server, *transport = sys.argv[1:]
facts = {row["fact"]: row["value"] for row in csv.DictReader(open(f"{folder}/machine.csv"))}
assert facts["server"] == server, facts["server"]
if transport:
    assert facts["transport"] == transport[0], facts["transport"]
rows = [row for row in csv.DictReader(open(f"{folder}/trials.csv"))]
judged = [row for row in rows if row["verdict"]]
assert judged, "no trial"
for row in rows:
    assert row["verdict"] or row["note"].startswith("skipped: "), row
for row in judged:
    lost, doubled, acked, found = (int(row[name]) for name in ("lost", "doubled", "acked", "found"))
    if row["promise"] == "exact":
        assert lost == doubled == 0 and row["verdict"] in ("exact", "unproven"), row
    else:
        assert lost + doubled > 0 or row["note"] or row["round"] == "0", row
    if row["strategy"] == "get-set":
        assert lost == acked - found == int(row["overwritten"]) + int(row["rolled_back"]), row
        assert lost > 0 or int(row["threads"]) < 4 or row["round"] == "0", row
print(f"{folder}: {len(judged)} of {len(rows)} trials judged on {server}, promises kept, get-set loses")
