//! One test binary: house rules, controls of the harness itself, and the real thing on a real server.

#![allow(clippy::unwrap_used)] // a test that panics has said what it had to

mod cases;
mod clean;
mod cli;
mod compare;
mod compare_edges;
mod compose;
mod corpus;
mod doubled;
mod explain;
mod external;
mod fault_dimension;
mod faults;
mod history;
mod interchange;
mod known_answers;
mod lab;
mod lab_sample;
mod law;
mod libraries;
mod lost_reply;
mod model;
mod one_thread;
mod operations;
mod outcome;
mod own;
mod pace;
mod page;
mod pool;
mod proxy;
mod race;
mod readme;
mod record;
mod refusal;
mod sample;
mod schema;
mod scripted;
mod servers;
mod simulation;
mod strategies;
mod target;
mod tidy;
mod tls;
mod topologies;
mod until;
