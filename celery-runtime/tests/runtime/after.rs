//! What follows tasks, and when they may run: against a real broker, with real Python programs on the other side.

mod canvas;
mod limits;
mod log;
mod outage;
mod queues;
mod retries;
mod rig;
