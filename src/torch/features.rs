//! What a GPU may do besides computing by kernels, and where it has been seen to do it right.

/// Something that a run on a GPU can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// A step that is launched as a whole: [`super::Graph`].
    CudaGraphs,
    /// Copies beside the work: [`super::Transfers::beside`].
    AsyncTransfers,
}

impl Feature {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::CudaGraphs, Self::AsyncTransfers];

    /// The key of the configuration that turns it on and off.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::CudaGraphs => "train.cuda_graphs",
            Self::AsyncTransfers => "train.async_transfers",
        }
    }

    /// The GPU on which `scripts/gpu_check.sh check` found it right (`scripts/bench/RESULTS.md`); none where no GPU has run
    /// it, and then it is not done unasked.
    #[must_use]
    pub fn proven_on(self) -> Option<&'static str> {
        match self {
            Self::CudaGraphs | Self::AsyncTransfers => None,
        }
    }
}
