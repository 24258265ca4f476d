//! What `--json` prints matches its schema: all of it is described, and a document that deviates is rejected.

use std::path::Path;
use std::process::Command;

use redis_lost_updates::record::Run;
use redis_lost_updates::report::{Document, SCHEMA as VERSION};
use redis_lost_updates::summary::Summary;
use serde_json::{Map, Value};

const RUN: &str = "docs/run.schema.json";
const CHECK: &str = "docs/check.schema.json";
const LOST_REPLY: &str = "docs/lost-reply.schema.json";
const FAULTS: &str = "docs/faults.schema.json";
const COMPARE: &str = "docs/compare.schema.json";

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// The documents that were printed. A key that a document has twice would be dropped in silence; then it has fewer lines
/// when it is written again.
fn documents(text: &[u8]) -> Vec<Value> {
    let read = serde_json::Deserializer::from_slice(text).into_iter();
    let documents: Vec<Value> = read.map(|document| document.expect("JSON on stdout")).collect();
    let lines = |document: &Value| serde_json::to_string_pretty(document).unwrap().lines().count();
    let printed = String::from_utf8_lossy(text).lines().count();
    assert_eq!(documents.iter().map(lines).sum::<usize>(), printed, "a repeated key");
    documents
}

/// What a real run prints.
fn run(args: &[&str]) -> Value {
    run_into(&tempfile::tempdir().unwrap().path().join("run"), args)
}

/// The same, with its folder kept.
fn run_into(out: &Path, args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--json", "--rounds", "2", "--threads", "1,3", "--out", &out.display().to_string()])
        .args(args)
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&output.stdout).remove(0)
}

/// Why a document is not what the schema says, if it is not.
fn complaint(document: &Value, schema: &str) -> Option<String> {
    let schema = json(&std::fs::read(schema).unwrap());
    refuted(document, &schema, schema["$defs"].as_object().unwrap(), "").err()
}

/// The keywords of JSON Schema that these schemas use; any other is an error, so that none is silently ignored.
fn refuted(value: &Value, schema: &Value, defs: &Map<String, Value>, path: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{path}: {what}, not {value}"));
    let list = |keyword: &Value| keyword.as_array().cloned().unwrap_or_default();
    for (keyword, wants) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let name = wants.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                refuted(value, defs.get(name).ok_or_else(|| format!("no definition {name}"))?, defs, path)?;
            }
            "const" if value != wants => return wrong(format!("const {wants}")),
            "enum" if !list(wants).contains(value) => return wrong(format!("one of {wants}")),
            "const" | "enum" => {}
            "type" => {
                let allowed = if wants.is_array() { list(wants) } else { vec![wants.clone()] };
                if !allowed.iter().any(|name| is_of_type(value, name.as_str().unwrap())) {
                    return wrong(format!("of type {wants}"));
                }
            }
            "minimum" if value.as_f64().is_some_and(|number| number < wants.as_f64().unwrap()) => {
                return wrong(format!("at least {wants}"));
            }
            "maximum" if value.as_f64().is_some_and(|number| number > wants.as_f64().unwrap()) => {
                return wrong(format!("at most {wants}"));
            }
            "minimum" | "maximum" => {}
            "oneOf" => {
                let fitting = list(wants).iter().filter(|choice| refuted(value, choice, defs, path).is_ok()).count();
                if fitting != 1 {
                    return wrong(format!("exactly one of {wants}: {fitting} fit"));
                }
            }
            "required" => {
                if let Some(name) = list(wants).iter().find(|name| value.get(name.as_str().unwrap()).is_none()) {
                    return wrong(format!("with a member {name}"));
                }
            }
            "properties" => {
                for (name, schema) in wants.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        refuted(member, schema, defs, &format!("{path}/{name}"))?;
                    }
                }
            }
            // The schema uses it where it names no properties.
            "additionalProperties" => {
                assert!(schema.get("properties").is_none());
                for (name, member) in value.as_object().into_iter().flatten() {
                    refuted(member, wants, defs, &format!("{path}/{name}"))?;
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    refuted(item, wants, defs, &format!("{path}/{i}"))?;
                }
            }
            other => return Err(format!("{path}: this test does not know the keyword {other}")),
        }
    }
    Ok(())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("no type {name}"),
    }
}

/// Members that the schema says nothing about.
fn undescribed(document: &Value, schema: &str) -> Vec<String> {
    let schema = json(&std::fs::read(schema).unwrap());
    let mut found = Vec::new();
    walk(document, &schema, schema["$defs"].as_object().unwrap(), "", &mut found);
    found
}

fn walk(value: &Value, schema: &Value, defs: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return walk(value, &defs[name.trim_start_matches("#/$defs/")], defs, path, found);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| refuted(value, choice, defs, path).is_ok());
        return fitting.for_each(|choice| walk(value, choice, defs, path, found));
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, &schema["items"], defs, path, found)),
        Value::Object(members) if schema.get("additionalProperties").is_none() => {
            for (name, member) in members {
                match schema["properties"].get(name) {
                    Some(described) => walk(member, described, defs, &format!("{path}.{name}"), found),
                    None => found.push(format!("{path}.{name}")),
                }
            }
        }
        _ => {}
    }
}

/// Asserts that the document matches the schema and contains nothing else.
fn described(document: &Value, schema: &str) {
    assert_eq!(complaint(document, schema), None, "{schema}");
    assert_eq!(undescribed(document, schema), Vec::<String>::new(), "not in {schema}");
}

/// What `report` prints on stdout, whatever its exit code: one document.
fn printed(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_report")).args(args).env_remove("REDIS_URL").output().unwrap();
    let mut documents = documents(&output.stdout);
    assert_eq!(documents.len(), 1, "{args:?}: {output:?}");
    documents.remove(0)
}

#[test]
fn judged_histories_are_what_the_schema_says() {
    let mut kinds = std::collections::BTreeSet::new();
    let mut files: Vec<String> = Vec::new();
    for folder in ["corpus/histories", "corpus/recorded", "tests/cases"] {
        files.extend(std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string()));
    }
    let args = ["check", "--json"].into_iter().chain(files.iter().map(String::as_str));
    let output = Command::new(env!("CARGO_BIN_EXE_report")).args(args).output().unwrap();
    let documents = documents(&output.stdout);
    assert_eq!(documents.len(), files.len());
    for document in &documents {
        described(document, CHECK);
        kinds.insert(document["witness"]["kind"].to_string());
    }
    assert!(kinds.len() > 8, "{kinds:?}");
    let none = printed(&["check", "--json", "Cargo.toml"]);
    described(&none, CHECK);
    assert!(none["error"].as_str().unwrap().contains("line"), "{none}");
    let mut spoilt = documents[0].clone();
    spoilt["oversold"] = 0.into(); // a number of the counter is text
    assert!(complaint(&spoilt, CHECK).is_some());
}

#[test]
fn compared_runs_are_what_the_schema_says() {
    let same = printed(&["compare", "--json", "results/example", "results/example"]);
    described(&same, COMPARE);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("other");
    run_into(&out, &["--strategies", "incr,get-set", "--duration", "60ms"]);
    let other = printed(&["compare", "--json", "results/example", &out.display().to_string()]);
    described(&other, COMPARE);
    assert!(other["differences"].as_array().is_some_and(|list| !list.is_empty()), "{other}");
    let mut spoilt = same;
    spoilt["cells"][0]["outcome"] = "unclear".into();
    assert!(complaint(&spoilt, COMPARE).is_some());
}

#[test]
fn lost_replies_are_what_the_schema_says() {
    let args = ["lost-reply", "--json", "--libraries", "redis-rs", "--ways", "fin,dropped", "--settings", "default"];
    let document = printed(&args);
    described(&document, LOST_REPLY);
    assert_eq!(document["rows"].as_array().unwrap().len(), 2);
    let mut spoilt = document;
    spoilt["rows"][0]["acked"] = (-1).into();
    assert!(complaint(&spoilt, LOST_REPLY).is_some());
}

#[test]
fn the_failure_lab_is_what_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("lab").display().to_string();
    let faults = ["--protections", "incr,incr-retry", "--faults", "flush,reply-lost", "--rounds", "1", "--quiet"];
    let document = printed(&[&["faults", "--json", "--out", &out], faults.as_slice()].concat());
    described(&document, FAULTS);
    assert_eq!(document["trials"].as_array().unwrap().len(), 6);
    let mut spoilt = document;
    spoilt["trials"][0]["verdict"] = "fine".into();
    assert!(complaint(&spoilt, FAULTS).is_some());
}

#[test]
fn a_real_run_is_what_the_schema_says_and_all_of_it_is_described() {
    let closed = run(&["--strategies", "incr,lua-incr,mutex,pipelined-incr,get-set", "--duration", "60ms"]);
    let open = run(&["--strategies", "incr,get-set", "--rate", "2000", "--duration", "200ms", "--keys", "1,4"]);
    for document in [&closed, &open] {
        described(document, RUN);
    }
    let headline = closed["answers"].as_array().unwrap().iter().find(|answer| answer["headline"] == true).unwrap();
    assert_eq!((&headline["threads"], &headline["race"]["label"]), (&Value::from(3), &Value::from("get-set")));
    let beside = |list: &str| headline[list].as_array().unwrap().len();
    assert_eq!(beside("within_noise") + beside("slower"), 2, "the three but for the winner");
    assert_eq!(closed["facts"]["threads"], "1,3");
    let alike = closed["cells"].as_array().unwrap().iter().find(|cell| cell["label"] == "incr").unwrap();
    assert!(alike["latency_ns"]["p50"].as_u64().unwrap() <= alike["latency_ns"]["p90"].as_u64().unwrap());
    assert!(open["cells"][0]["service_ns"]["p50"].is_u64());
    let far = run(&["--strategies", "incr,get-set", "--duration", "60ms", "--rtt", "0,1ms"]);
    described(&far, RUN);
    let over = |list: &str| -> Vec<Value> {
        far[list].as_array().unwrap().iter().map(|answer| answer["rtt_us"].clone()).collect()
    };
    assert_eq!(over("answers"), [Value::Null, Value::Null]);
    assert_eq!(over("answers_over_longer_round_trips"), [1_000, 1_000].map(Value::from));
    assert_eq!(far["answers_over_longer_round_trips"][0]["winner"]["label"], "incr rtt 1 ms");
}

#[test]
fn what_is_not_so_is_refused() {
    let run = Run::read(Path::new("results/example")).unwrap();
    let document = serde_json::to_value(Document::of(&Summary::of(&run), &run.machine)).unwrap();
    assert_eq!((complaint(&document, RUN), &document["schema"]), (None, &Value::from(VERSION)));
    let spoil: [(&str, Value); 6] = [
        ("/schema", "redis-lost-updates/run/2".into()),
        ("/cells/0/latency_ns", Value::from(vec![1, 2, 3, 4, 5])),
        ("/cells/0/latency_ns/p99", "56 µs".into()),
        ("/cells/0/verdict", "fine".into()),
        ("/facts/seed", 7.into()),
        ("/outcome", Value::Null),
    ];
    for (at, value) in spoil {
        let mut spoilt = document.clone();
        *spoilt.pointer_mut(at).unwrap() = value;
        assert!(complaint(&spoilt, RUN).is_some(), "{at}");
    }
    let mut without = document.clone();
    without.as_object_mut().unwrap().remove("facts");
    assert!(complaint(&without, RUN).is_some());
    let mut more = document;
    more.as_object_mut().unwrap().insert("later".to_owned(), Value::Null);
    assert_eq!((complaint(&more, RUN), undescribed(&more, RUN)), (None, vec![".later".to_owned()]));
}

#[test]
#[should_panic(expected = "a repeated key")]
fn a_repeated_key_is_seen() {
    documents(b"{\n  \"lost\": 1,\n  \"lost\": 2\n}\n");
}
