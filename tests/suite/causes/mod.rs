//! Every cause: found and repaired alone, in pairs, in random worlds, and with permissions missing.

mod audit;
mod blind;
mod by_hand;
mod operator;
mod pairs;
mod random;
mod redaction;
mod sight;
mod story;
mod table;
mod touched;
mod undo;
mod unseen;
mod worlds;
