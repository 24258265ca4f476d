//! Checks before a trial that it fits into memory: a process that runs out is killed, and its run is lost.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::error::{Error, Result};
use crate::update::Event;

/// Bytes that judging takes per update: for the place of its value.
const CHECK: u64 = 8;

/// Further bytes per update if there are several counters: for a copy, sorted by counter.
const SORTED: u64 = 32;

/// Checks that a trial of `updates` updates fits into free memory: into 1 TiB if the system does not say how much is
/// free.
///
/// # Errors
/// It does not fit: the message says what it needs and what is free.
pub(super) fn check(updates: u64, keys: usize) -> Result<()> {
    let needed = needed(updates, keys);
    let free = free().unwrap_or(1 << 40);
    if needed <= free {
        return Ok(());
    }
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    Err(Error::usage(format!(
        "a trial of {updates} updates needs {} of memory, and {} are free: reduce --updates, --threads or --rate",
        gib(needed),
        gib(free)
    )))
}

fn needed(updates: u64, keys: usize) -> u64 {
    let each = size_of::<Event>() as u64 + CHECK + if keys > 1 { SORTED } else { 0 };
    updates.saturating_mul(each)
}

/// The least of what the machine has free, what a container leaves us, and what this process may still allocate.
fn free() -> Option<u64> {
    [machine(), container(), limit()].into_iter().flatten().min()
}

fn machine() -> Option<u64> {
    kib(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// What the limit of this process's control group leaves. In a container, the groups above it are not visible.
fn container() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let of = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?.trim_start_matches('/'));
        let (root, limit, used, cache) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "),
            "memory" => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
            }
            _ => return None,
        };
        let left = |folder: &Path| {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
            let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
            // Cached files count as used, but are dropped when memory is needed.
            let stat = read("memory.stat").unwrap_or_default();
            let cache = stat.lines().find_map(|line| line.strip_prefix(cache)?.parse::<u64>().ok()).unwrap_or(0);
            Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(cache)))
        };
        left(&Path::new(root).join(path)).or_else(|| left(Path::new(root)))
    };
    groups.lines().filter_map(of).min()
}

/// What `ulimit -v` leaves.
fn limit() -> Option<u64> {
    let limit = getrlimit(Resource::As).current?;
    let used = kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// The value of line `name`, which is in kB, in bytes.
fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_both_figures() {
        assert!(check(1_000, 1).is_ok());
        let said = check(u64::MAX, 4).unwrap_err().to_string();
        assert!(
            said.contains("18446744073709551615 updates") && said.contains("GiB") && said.contains("--updates"),
            "{said}"
        );
        assert_eq!((needed(10, 1), needed(10, 2)), (320, 640));
    }

    #[test]
    fn sizes_are_read_as_the_system_writes_them() {
        assert_eq!(kib("MemTotal: 9 kB\nMemAvailable:   12 kB\n", "MemAvailable:"), Some(12_288));
        assert_eq!(kib("MemTotal: 9 kB\n", "MemAvailable:"), None);
    }
}
