//! What no compiler checks: which way imports point, and a few rules for every source file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules that never name Redis.
const READING: [&str; 14] = [
    "stats",
    "pace",
    "until",
    "verdict",
    "history",
    "interchange",
    "law",
    "record",
    "summary",
    "compare",
    "report",
    "race",
    "update",
    "workload",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn library() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    sources(Path::new("src"), &mut paths);
    paths.sort();
    let library = paths.into_iter().filter(|path| !path.starts_with("src/bin"));
    library.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let name = path.strip_prefix("src").unwrap().components().next().unwrap().as_os_str().to_string_lossy();
    name.trim_end_matches(".rs").to_owned()
}

/// The order of modules as the table in lib.rs states it: a file may import only from modules before its own.
fn order() -> Vec<String> {
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    let cells = lib.lines().filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split(", ")).filter(|name| name.contains('`'));
    names.map(|name| name.trim_matches(['[', ']', '`']).to_owned()).chain(["lib".to_owned()]).collect()
}

/// A file's code: without comments, whose links point wherever they help, and without its own tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap().lines();
    code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that stand right behind `prefix` in code, those of a `{...}` list included.
fn named_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        match rest.strip_prefix('{').and_then(|list| list.split_once("};")) {
            Some((list, _)) => names.extend(list.split(',').map(|name| word(name.trim()))),
            None => drop(names.insert(word(rest))),
        }
    }
    names
}

#[test]
fn the_table_in_lib_rs_names_every_module_once() {
    let mut stated = order();
    let modules: BTreeSet<String> = library().iter().map(|(path, _)| module(path)).collect();
    let unstated: Vec<&String> = modules.iter().filter(|module| !stated.contains(module)).collect();
    assert!(unstated.is_empty(), "the table in lib.rs lacks {unstated:?}");
    stated.sort();
    let count = stated.len();
    stated.dedup();
    assert_eq!(stated.len(), count, "a module stands twice in the table of lib.rs");
    let unknown: Vec<&String> = stated.iter().filter(|name| !modules.contains(*name)).collect();
    assert!(unknown.is_empty(), "the table in lib.rs names {unknown:?}, which are no modules");
}

#[test]
fn imports_point_one_way() {
    let order = order();
    let place = |module: &str| order.iter().position(|known| known == module);
    for (path, text) in library() {
        let own = place(&module(&path)).unwrap_or_else(|| panic!("{} has no place in lib.rs", path.display()));
        for target in named_behind(&code(&text), "crate::") {
            if let Some(theirs) = place(&target) {
                assert!(theirs <= own, "{} imports crate::{target}, which comes later", path.display());
            }
        }
    }
}

#[test]
fn no_two_siblings_import_each_other() {
    let mut folders: BTreeMap<PathBuf, BTreeMap<String, String>> = BTreeMap::new();
    for (path, text) in library() {
        // A file in a folder speaks for its sibling module of the folder's name, too.
        for (depth, folder) in path.ancestors().skip(1).enumerate().take_while(|(_, f)| *f != Path::new("src")) {
            let inside = path.strip_prefix(folder).unwrap().components().next().unwrap();
            let child = inside.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let parent = folder.strip_prefix("src").unwrap().to_string_lossy().replace('/', "::");
            let mut named = named_behind(&code(&text), &format!("crate::{parent}::"));
            named.extend(named_behind(&code(&text), &("super::".repeat(depth + 1))));
            let siblings = folders.entry(folder.to_owned()).or_default().entry(child).or_default();
            named.iter().for_each(|name| *siblings += &format!(" {name} "));
        }
    }
    for (folder, children) in folders {
        let imports = |one: &str, other: &str| children[one].contains(&format!(" {other} "));
        // Reachable along imports: a circle may be longer than two.
        for start in children.keys() {
            let mut seen = BTreeSet::from([start.as_str()]);
            let mut next = vec![start.as_str()];
            while let Some(one) = next.pop() {
                for other in children.keys().filter(|other| *other != one && imports(one, other)) {
                    assert_ne!(
                        other,
                        start,
                        "{}: {start} and {one} import each other, maybe by others",
                        folder.display()
                    );
                    if seen.insert(other) {
                        next.push(other);
                    }
                }
            }
        }
    }
}

#[test]
fn the_reading_half_never_names_redis() {
    for (path, text) in library() {
        if READING.contains(&module(&path).as_str()) {
            assert!(!text.contains("redis::"), "{} names the redis crate", path.display());
        }
    }
}

#[test]
fn the_library_neither_prints_nor_exits() {
    // But for the room of the command line, which does just that.
    for (path, text) in library().into_iter().filter(|(path, _)| module(path) != "command") {
        for word in ["println!(", "eprintln!(", "print!(", "process::exit"] {
            let said = text.lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!said, "{} says {word}", path.display());
        }
    }
}

#[test]
fn no_server_is_ever_flushed() {
    // Except in the fault that consists of it, which hits only private servers that the lab itself started.
    for (path, text) in library().into_iter().filter(|(path, _)| !path.ends_with("src/fault/flush.rs")) {
        let upper = text.to_uppercase();
        let flushes = upper.lines().any(|line| line.contains("\"FLUSHALL") || line.contains("\"FLUSHDB"));
        assert!(!flushes, "{} flushes", path.display());
    }
}

#[test]
fn every_file_begins_by_saying_why_and_no_module_is_for_odds_and_ends() {
    for (path, text) in library() {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let name = path.file_stem().unwrap().to_string_lossy();
        assert!(!["util", "utils", "helpers", "common", "misc"].contains(&name.as_ref()), "{}", path.display());
    }
}
