//! The witness of a violation in words: which operations, on which lines, and what is wrong with them.

use std::fmt::Write;

use super::{Teller, count, of};
use crate::history::{Fault, Seen, Witness};
use crate::interchange::history::Key;

/// The operations of a witness, and why no counter can have returned their values.
pub(super) fn fault(out: &mut String, teller: &Teller<'_>, witness: &Witness) -> std::fmt::Result {
    let key = &teller.history.keys[witness.key];
    let line = |seen: &Seen| format!("  {}{}", of(key), teller.row(seen));
    let absolute = |value: i64| teller.absolute(key, value);
    match &witness.fault {
        Fault::SameValue { value, first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            let apart = first.event.end_ns() < second.event.begin_ns();
            let why = if apart { "the counter went back between them" } else { "one wrote over the other" };
            writeln!(out, "  both were told {}: {why}", absolute(*value))
        }
        Fault::SameStep { first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            writeln!(out, "  both changed the same value at the same time, and the accounts lack one of them")
        }
        Fault::Clash { first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            writeln!(out, "  their ranges overlap: one wrote over the other")
        }
        Fault::BelowStart { update } => {
            writeln!(out, "{}\n  no such add from {} makes that", line(update), teller.units(key.initial))
        }
        Fault::OutOfOrder { earlier, later } => {
            writeln!(out, "{}\n{}", line(earlier), line(later))?;
            writeln!(out, "  the first had ended before the second began, and saw the larger value")
        }
        Fault::NobodyMade { value, next } => {
            writeln!(out, "  the counter passed {}, and no update can have produced that value", absolute(*value))?;
            next.map_or(Ok(()), |next| writeln!(out, "{}\n  was told the next one", line(&next)))
        }
        Fault::NoRoom { update, after, before } => {
            writeln!(out, "{}", line(update))?;
            let after = after.map_or(String::new(), |after| format!(" above {}", absolute(after)));
            let before = before.map_or(String::new(), |before| format!(" below {}", absolute(before)));
            writeln!(out, "  must have produced a value{after}{before}, and each of these belongs to another update")
        }
        Fault::Final { found, least, most, told } => {
            told.map_or(Ok(()), |told| writeln!(out, "{}", line(&told)))?;
            let clamped = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            ended(out, teller, key, (*found, clamped(*least), clamped(*most)))
        }
        Fault::Ended { found, least, most, told } => {
            told.map_or(Ok(()), |told| writeln!(out, "{}", line(&told)))?;
            ended(out, teller, key, (*found, *least, *most))
        }
        Fault::NeverHeld { read, passed } => {
            writeln!(out, "{}", line(read))?;
            passed.map_or(Ok(()), |passed| writeln!(out, "{}", line(&passed)))?;
            writeln!(out, "  the counter never held what was read")
        }
        Fault::OutOfBounds { update, least, most } => {
            writeln!(out, "{}", line(update))?;
            let (least, most) = (absolute(*least), absolute(*most));
            writeln!(out, "  whatever the order, the counter then held {least} at least and {most} at most")
        }
        Fault::Unbalanced { lost, surplus } => {
            let (lost, surplus) = (teller.units(*lost), teller.units(*surplus));
            writeln!(
                out,
                "  the returned values do not lead from the start to the end: {lost} units are missing, \
                 {surplus} are too many"
            )
        }
        Fault::Oversold { value, limit, update } => {
            update.map_or(Ok(()), |update| writeln!(out, "{}", line(&update)))?;
            writeln!(out, "  the limit is {}, and the granted updates reach {}", absolute(*limit), absolute(*value))
        }
        Fault::Undersold { update, needed } => {
            writeln!(out, "{}", line(update))?;
            match needed {
                Some(needed) => {
                    writeln!(out, "  the counter never reached {}, above which it may be denied", absolute(*needed))
                }
                None => writeln!(out, "  there is no limit that it could have exceeded"),
            }
        }
        Fault::NoOrder { placed, holds, next } => {
            next.iter().try_for_each(|seen| writeln!(out, "{}", line(seen)))?;
            let (placed, holds) = (count(*placed, "operation"), absolute(*holds));
            writeln!(
                out,
                "  every order was tried: at best {placed} fit; the counter is then {holds}, which none of the \
                 next returned"
            )
        }
    }
}

fn ended(out: &mut String, teller: &Teller<'_>, key: &Key, (found, least, most): (i64, i64, i64)) -> std::fmt::Result {
    let (low, high) = (least.min(most), least.max(most));
    let (low, high) = (teller.absolute(key, low), teller.absolute(key, high));
    writeln!(out, "  but the counter ended at {}", teller.absolute(key, found))?;
    if least == most {
        writeln!(out, "  these updates end at {low}")
    } else {
        writeln!(out, "  these updates end between {low} and {high}")
    }
}
