//! House rules that no compiler checks.

use std::path::{Path, PathBuf};

/// The order of rooms: a file may import only from rooms named before its own.
const ORDER: &[&str] = &[
    "plain",
    "secret",
    "error",
    "resp",
    "placement",
    "timer",
    "proxy",
    "stats",
    "update",
    "pace",
    "client_machine",
    "workload",
    "condition",
    "verdict",
    "history",
    "interchange",
    "law",
    "record",
    "until",
    "race",
    "worker",
    "server",
    "event_loop",
    "task_loop",
    "strategy",
    "machine",
    "demo",
    "trial",
    "explain",
    "summary",
    "compare",
    "report",
    "command",
    "lib",
];

/// The rooms that never name Redis.
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

fn room(path: &Path) -> String {
    let name =
        path.strip_prefix("src").unwrap().components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    name.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_one_way() {
    let place = |room: &str| ORDER.iter().position(|&known| known == room);
    for (path, text) in library() {
        let own =
            place(&room(&path)).unwrap_or_else(|| panic!("{} is a room without a place in ORDER", path.display()));
        // Links in comments point wherever they help; so may a file's own tests.
        let code: Vec<&str> = text.split("#[cfg(test)]").next().unwrap().lines().collect();
        for line in code.iter().filter(|line| !line.trim_start().starts_with("//")) {
            for part in line.split("crate::").skip(1) {
                let target = part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if let Some(theirs) = place(target) {
                    assert!(theirs <= own, "{} imports crate::{target}, which comes later", path.display());
                }
            }
        }
    }
}

#[test]
fn the_reading_half_never_names_redis() {
    for (path, text) in library() {
        if READING.contains(&room(&path).as_str()) {
            assert!(!text.contains("redis::"), "{} names the redis crate", path.display());
        }
    }
}

#[test]
fn the_library_neither_prints_nor_exits() {
    // But for the room of the command line, which does just that.
    for (path, text) in library().into_iter().filter(|(path, _)| room(path) != "command") {
        for word in ["println!(", "eprintln!(", "print!(", "process::exit"] {
            let said = text.lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!said, "{} says {word}", path.display());
        }
    }
}

#[test]
fn the_command_prints_through_one_file() {
    let mut paths = Vec::new();
    sources(Path::new("src/command"), &mut paths);
    paths.push(PathBuf::from("src/command.rs"));
    for path in paths.iter().filter(|path| !path.ends_with("output.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        for word in ["println!(", "print!("] {
            assert!(
                !text.contains(word),
                "{} says {word}, where control characters would reach the terminal",
                path.display()
            );
        }
    }
}

#[test]
fn markup_is_made_in_one_place_alone() {
    for name in ["src/report/page/page.html", "src/report/comparison/comparison.html"] {
        let text = std::fs::read_to_string(name).unwrap();
        let compact: String = text.split_whitespace().collect();
        for word in ["|safe", "escape(", "{%filter", "{%autoescape"] {
            assert!(!compact.contains(word), "{name} says {word}: text that is not markup must be escaped");
        }
    }
    for (path, text) in library() {
        let makes = text.contains("HtmlSafe") || text.contains("escape =") || text.contains("MarkupDisplay");
        assert!(!makes || path.ends_with("report/markup.rs"), "{} makes markup", path.display());
    }
    assert!(!std::fs::read_to_string("askama.toml").unwrap().contains("escaper"));
}

#[test]
fn no_server_is_ever_flushed() {
    for (path, text) in library() {
        let upper = text.to_uppercase();
        let flushes = upper.lines().any(|line| line.contains("\"FLUSHALL") || line.contains("\"FLUSHDB"));
        assert!(!flushes, "{} flushes", path.display());
    }
}

#[test]
fn every_file_begins_by_saying_why_and_no_room_is_for_odds_and_ends() {
    for (path, text) in library() {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let name = path.file_stem().unwrap().to_string_lossy();
        assert!(!["util", "utils", "helpers", "common", "misc"].contains(&name.as_ref()), "{}", path.display());
    }
}
