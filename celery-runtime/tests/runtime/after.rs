//! Messages that follow tasks, and the times at which tasks may run: with a real broker and real Python programs as
//! peers.

mod canvas;
mod limits;
mod log;
mod outage;
mod queues;
mod retries;
mod rig;
