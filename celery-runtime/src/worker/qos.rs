//! The prefetch limit of consumers (contract B.5).

/// The window of the consumers: the maximum number of unsettled messages of each.
///
/// A message that is held for its ETA stays in the window. Before such messages fill it, the worker starts
/// consumers of a new generation, whose window is empty: raising the value has no effect on a running consumer.
#[derive(Debug)]
pub(crate) struct Qos {
    window: u16,
    generation: u64,
    /// The number of messages of this generation that are held for their ETA.
    held: usize,
    /// Whether the next generation has been requested.
    is_renewing: bool,
}

impl Qos {
    /// Creates the limit. `window` is the prefetch count; 0 means without limit.
    pub(crate) fn new(window: u16) -> Self {
        Self {
            window,
            generation: 0,
            held: 0,
            is_renewing: false,
        }
    }

    /// Returns the prefetch count.
    pub(crate) fn window(&self) -> u16 {
        self.window
    }

    /// Registers that consumers of this generation have started with an empty window.
    pub(crate) fn renewed(&mut self, generation: u64) {
        self.generation = generation;
        self.held = 0;
        self.is_renewing = false;
    }

    /// Registers that a message of `generation` is held.
    pub(crate) fn hold(&mut self, generation: u64) {
        if generation == self.generation {
            self.held += 1;
        }
    }

    /// Registers that a message of `generation` is no longer held.
    pub(crate) fn release(&mut self, generation: u64) {
        if generation == self.generation {
            self.held = self.held.saturating_sub(1);
        }
    }

    /// Begins a renewal if it is due: held messages take half of the window, and the `others`, which
    /// run or wait for a slot, do not fill it by themselves. Otherwise each renewal would add a whole window to the messages that wait here. Returns true at
    /// most once per generation.
    pub(crate) fn begin_renewal_if_due(&mut self, others: usize) -> bool {
        let window = usize::from(self.window);
        let is_due = window > 0 && !self.is_renewing && self.held * 2 >= window && others < window;
        self.is_renewing |= is_due;
        is_due
    }

    /// Returns whether the broker could send something while `unsettled` messages besides the held ones are not
    /// settled.
    pub(crate) fn has_room(&self, unsettled: usize) -> bool {
        self.window == 0 || self.held + unsettled < usize::from(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_renewed_once_when_held_messages_take_half_of_it() {
        let mut qos = Qos::new(4);
        qos.renewed(1);
        qos.hold(1);
        assert!(!qos.begin_renewal_if_due(0));
        qos.hold(1);
        assert!(qos.begin_renewal_if_due(0) && !qos.begin_renewal_if_due(0));
        assert!(!qos.has_room(2) && qos.has_room(1));
        qos.renewed(2);
        assert!(qos.has_room(3) && !qos.has_room(4));
        // Messages of replaced consumers are in no window.
        qos.hold(1);
        qos.hold(1);
        qos.release(1);
        assert!(!qos.begin_renewal_if_due(0) && qos.has_room(3));
        qos.hold(2);
        qos.release(2);
        assert!(qos.has_room(3));
    }

    #[test]
    fn a_window_is_not_renewed_while_a_backlog_fills_it() {
        let mut qos = Qos::new(4);
        qos.renewed(1);
        (0..4).for_each(|_| qos.hold(1));
        assert!(!qos.begin_renewal_if_due(4));
        assert!(qos.begin_renewal_if_due(3));
    }

    #[test]
    fn a_window_without_limit_is_never_full() {
        let mut qos = Qos::new(0);
        (0..1000).for_each(|_| qos.hold(0));
        assert!(!qos.begin_renewal_if_due(0) && qos.has_room(usize::MAX / 2));
    }
}
