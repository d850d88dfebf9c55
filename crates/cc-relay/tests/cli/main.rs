//! The real `cc-relay` binary, run as a person runs it, each time with a home folder of its own.

#[cfg(test)]
mod basics;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod cc;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod completions;
#[cfg(test)]
mod config;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod files;
#[cfg(test)]
mod help;
#[cfg(test)]
mod identities;
#[cfg(test)]
mod interview;
#[cfg(test)]
mod keychain;
#[cfg(test)]
mod logged;
#[cfg(test)]
mod manage;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod status;
#[cfg(test)]
mod support;
#[cfg(test)]
mod switches;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod tui;
#[cfg(test)]
mod usage;
