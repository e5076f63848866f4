//! How much one call of the guarded apply does before it leaves the rest for the next.

/// The most operations, and predecessors named by them, that are taken to the engine at once, unless a single change has
/// more: expanded, each takes some 200 bytes, and a few tens of bytes of a change may stand for 100,000.
pub(super) const PORTION_WEIGHT_MAX: u64 = 200_000;

/// What one call may still do.
///
/// Hostile changes can make each of these a thousand times what honest ones need. A call stops once any of them is used
/// up, so that its caller can store what was decided; none of them decides a verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// The most operations and predecessors that are taken to the engine at once, unless a single change has more.
    pub(super) portion_weight_max: u64,
    /// How many operations and predecessors may still be read.
    pub(super) weight: u64,
    /// How many attempts to apply a portion may still fail. Each costs a copy of the document and what was applied to it;
    /// halving a portion until one change is found to be bad takes one more than the logarithm of its changes.
    pub(super) failures: u32,
    /// How many changes of the document may still be passed over to find out which of them a change does not depend on.
    pub(super) passed_over: u64,
}

impl Default for Effort {
    /// Some seconds of work at the worst, and far more than an honest catch-up needs.
    fn default() -> Self {
        Self {
            portion_weight_max: PORTION_WEIGHT_MAX,
            weight: 10 * PORTION_WEIGHT_MAX,
            failures: 32,
            passed_over: 5_000_000,
        }
    }
}

impl Effort {
    /// Whether the rest is left for the next call.
    pub(super) fn is_spent(&self) -> bool {
        self.weight == 0 || self.failures == 0 || self.passed_over == 0
    }

    /// Counts a change that was read, which is work even when it has no operations.
    pub(super) fn read(&mut self, weight: u64) {
        self.weight = self.weight.saturating_sub(weight.max(1));
    }

    /// Whether another attempt may be made: what was read is tried even if that was the last to be read.
    pub(super) fn may_fail(&self) -> bool {
        self.failures > 0
    }

    /// Counts an attempt that failed.
    pub(super) fn fail(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    /// Counts changes of the document that were passed over.
    pub(super) fn pass_over(&mut self, changes: u64) {
        self.passed_over = self.passed_over.saturating_sub(changes);
    }
}
