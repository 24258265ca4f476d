//! Faults by name: `NAME`, `NAME:FORM`, `NAME:TIME`.

use std::fmt;
use std::time::Duration;

use crate::condition::{NO_FAULT, Topology};
use crate::error::{Error, Result};
use crate::fault::{ALL, Fault};
use crate::target::Layout;

/// The longest that a fault may last: every trial is bounded.
const LONGEST: Duration = Duration::from_secs(5);

/// A fault with its parameter.
#[derive(Clone, Copy)]
pub struct Chosen {
    /// The fault.
    pub fault: &'static dyn Fault,
    /// Its form, if it has several.
    pub form: Option<&'static str>,
    /// How long it lasts, if that can be chosen.
    pub time: Option<Duration>,
}

impl Chosen {
    /// The servers that it needs: those that its form names, if its forms are topologies.
    pub fn topology(&self) -> Topology {
        let named = self.form.and_then(|form| form.parse::<Layout>().ok());
        named.map_or(self.fault.info().topology, |layout| layout.topology)
    }

    /// Whether nothing is done.
    pub(super) fn is_none(&self) -> bool {
        self.fault.info().name == NO_FAULT
    }

    /// How long it lasts; zero if that cannot be chosen.
    pub fn lasts(&self) -> Duration {
        self.time.unwrap_or_default()
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.fault.info();
        let time = self.time.filter(|_| self.time != info.time).map(|time| format!(":{}ms", time.as_millis()));
        // The usual topology is not named.
        let form = self.form.filter(|form| *form != "replicated").map(|form| format!(":{form}"));
        f.pad(&format!("{}{}{}", info.name, form.unwrap_or_default(), time.unwrap_or_default()))
    }
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chosen({self})")
    }
}

/// The faults with these names. A name without its parameter stands for the first form; `NAME:all` for all forms.
///
/// # Errors
/// An unknown name or parameter: the message lists the known ones.
pub fn find(names: &[impl AsRef<str>]) -> Result<Vec<Chosen>> {
    let mut found: Vec<Chosen> = Vec::new();
    for name in names {
        for chosen in found_by(name.as_ref())? {
            if found.iter().any(|other| other.to_string() == chosen.to_string()) {
                return Err(Error::usage(format!("fault '{chosen}' is named twice")));
            }
            found.push(chosen);
        }
    }
    Ok(found)
}

fn found_by(text: &str) -> Result<Vec<Chosen>> {
    if text == "all" {
        return Ok(ALL.iter().flat_map(|&fault| all_forms(fault)).collect());
    }
    let (name, parameter) = text.split_once(':').map_or((text, None), |(name, parameter)| (name, Some(parameter)));
    let fault = ALL.iter().copied().find(|fault| fault.info().name == name).ok_or_else(|| unknown(name))?;
    let info = fault.info();
    let default = Chosen { fault, form: info.forms.first().copied(), time: info.time };
    let Some(parameter) = parameter else { return Ok(vec![default]) };
    if parameter == "all" && !info.forms.is_empty() {
        return Ok(all_forms(fault));
    }
    if let Some(form) = info.forms.iter().copied().find(|form| *form == parameter) {
        return Ok(vec![Chosen { form: Some(form), ..default }]);
    }
    match info.time.and(time(parameter)) {
        Some(time) => Ok(vec![Chosen { time: Some(time), ..default }]),
        None => Err(wrong_parameter(fault, parameter)),
    }
}

fn all_forms(fault: &'static dyn Fault) -> Vec<Chosen> {
    let info = fault.info();
    match info.forms {
        [] => vec![Chosen { fault, form: None, time: info.time }],
        forms => forms.iter().map(|&form| Chosen { fault, form: Some(form), time: info.time }).collect(),
    }
}

fn time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| !time.is_zero() && *time <= LONGEST)
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = ALL.iter().map(|fault| fault.info().name).collect();
    Error::usage(format!("no fault '{name}': expected all, or one of {}", names.join(", ")))
}

fn wrong_parameter(fault: &dyn Fault, parameter: &str) -> Error {
    let info = fault.info();
    let expected = match (info.forms, info.time) {
        ([], None) => "it has no parameter".to_owned(),
        ([], Some(time)) => format!("expected a time up to {} s, such as {}ms", LONGEST.as_secs(), time.as_millis()),
        (forms, _) => format!("expected {}, or all", forms.join(", ")),
    };
    Error::usage(format!("fault {}:{parameter}: {expected}", info.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> String {
        find(words).map_or_else(
            |error| error.to_string(),
            |found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        )
    }

    #[test]
    fn faults_are_found_with_their_parameters() {
        assert_eq!(names(&["reply-lost", "failover-lagging"]), "reply-lost:fin,failover-lagging");
        assert_eq!(names(&["reply-lost:silence"]), "reply-lost:silence");
        assert_eq!(names(&["reply-lost:all"]), "reply-lost:fin,reply-lost:rst,reply-lost:silence");
        assert_eq!(names(&["failover-lagging:300ms"]), "failover-lagging:300ms");
        assert_eq!(names(&["failover-lagging:200ms"]), "failover-lagging", "its own time goes without saying");
        assert!(names(&["reply-lost:gone"]).contains("expected fin, rst, silence, or all"));
        assert!(names(&["pause:9s"]).contains("expected a time up to 5 s"));
        assert!(names(&["flush:1s"]).contains("it has no parameter"));
        assert!(names(&["flood"]).contains("no fault 'flood': expected all, or one of none, reply-lost"));
        assert!(names(&["flush", "flush"]).contains("named twice"));
    }

    #[test]
    fn a_form_may_name_the_servers() {
        assert_eq!(names(&["failover-planned", "failover-crash:300ms"]), "failover-planned,failover-crash:300ms");
        assert_eq!(names(&["failover-crash:all"]), "failover-crash,failover-crash:sentinel,failover-crash:cluster");
        let of = |name| find(&[name]).unwrap()[0].topology();
        assert_eq!(of("failover-crash:cluster"), Topology::Cluster);
        assert_eq!((of("failover-crash"), of("flush")), (Topology::Replicated, Topology::Single));
    }

    #[test]
    fn names_are_unique_and_every_fault_says_what_it_is_not() {
        let all = find(&["all"]).unwrap();
        assert!(all.len() > ALL.len());
        for fault in ALL {
            let info = fault.info();
            assert!(info.about.ends_with('.') && info.is_not.ends_with('.'), "{}", info.name);
        }
    }
}
