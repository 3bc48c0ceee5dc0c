//! A step that is recorded once and from then on launched as a whole, which spares the CPU the launching of each
//! operation.

use super::step_numbers::{Shape, StepInputs, StepOutputs};
use crate::data::Batch;
use crate::torch::Graph;
use anyhow::{Context, Result};

/// Steps of one shape, one after another, before one is recorded: the libraries have then chosen their kernels and made
/// their handles.
const WARM_UP: u32 = 3;

/// What a step launches.
type Work<'a> = dyn FnMut() -> Result<StepOutputs> + 'a;
/// Launches it again.
type Replay = Box<dyn Fn() -> Result<()>>;
/// Notes down what work launches, without running it.
type Recorder = Box<dyn Fn(&mut Work<'_>) -> Result<(Replay, StepOutputs)>>;

/// Launches steps: piece by piece, or from a record of one.
pub struct StepGraph<B> {
    recorder: Option<Recorder>,
    last: Option<Shape>,
    /// Steps of that shape, one after another.
    alike: u32,
    record: Option<Record<B>>,
}

/// A recorded step, whose inputs and outputs have their places in memory.
struct Record<B> {
    shape: Shape,
    inputs: StepInputs<B>,
    outputs: StepOutputs,
    replay: Replay,
}

impl<B: Batch> StepGraph<B> {
    /// Every step piece by piece.
    pub(super) fn off() -> Self {
        Self {
            recorder: None,
            last: None,
            alike: 0,
            record: None,
        }
    }

    /// By a CUDA graph of the GPU of this number.
    pub(super) fn on_gpu(index: usize) -> Self {
        let record = move |work: &mut Work<'_>| {
            let (graph, outputs) = Graph::record(index, work)?;
            let replay: Replay = Box::new(move || graph.replay());
            Ok((replay, outputs))
        };
        Self::by(Box::new(record))
    }

    fn by(recorder: Recorder) -> Self {
        Self {
            recorder: Some(recorder),
            ..Self::off()
        }
    }

    /// Launches a step on these inputs: by `work`, or as `work` was recorded on inputs of the same shape. The next step's
    /// numbers may come in the place of the ones that this one gives.
    pub(super) fn launch(
        &mut self,
        inputs: StepInputs<B>,
        work: &mut dyn FnMut(&StepInputs<B>) -> Result<StepOutputs>,
    ) -> Result<StepOutputs> {
        if self.recorder.is_none() {
            return work(&inputs);
        }
        let Some(shape) = Shape::of(&inputs) else {
            return work(&inputs);
        };
        if let Some(record) = self.record.as_mut() {
            return match record.shape == shape {
                true => record.repeat(inputs),
                false => work(&inputs),
            };
        }
        match self.is_settled(&shape) {
            true => self.record(shape, inputs, work),
            false => work(&inputs),
        }
    }

    /// Takes note of a step's shape.
    fn is_settled(&mut self, shape: &Shape) -> bool {
        self.alike = match self.last.as_ref() == Some(shape) {
            true => self.alike + 1,
            false => 0,
        };
        self.last = Some(shape.clone());
        self.alike >= WARM_UP
    }

    fn record(
        &mut self,
        shape: Shape,
        inputs: StepInputs<B>,
        work: &mut dyn FnMut(&StepInputs<B>) -> Result<StepOutputs>,
    ) -> Result<StepOutputs> {
        let Some(recorder) = &self.recorder else {
            return work(&inputs);
        };
        let recorded = recorder(&mut || work(&inputs));
        let (replay, outputs) =
            recorded.context("train.cuda_graphs: \"off\" launches steps piece by piece")?;
        log::debug!("the step is recorded; from now on it is launched as a whole");
        replay()?;
        let record = self.record.insert(Record {
            shape,
            inputs,
            outputs,
            replay,
        });
        Ok(record.outputs.share())
    }
}

impl<B: Batch> Record<B> {
    /// The recorded step on other numbers.
    fn repeat(&mut self, inputs: StepInputs<B>) -> Result<StepOutputs> {
        let own = std::mem::take(&mut self.inputs.batches);
        let pairs = own.into_iter().zip(inputs.batches);
        self.inputs.batches = pairs.map(|(own, new)| own.overwritten(new)).collect();
        self.inputs.lr.copy_(&inputs.lr);
        (self.replay)()?;
        Ok(self.outputs.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Counts, TokenBatch};
    use crate::model::{Layout, Tokens};
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;
    use tch::{Device, Kind, Tensor};

    type Operation = Box<dyn Fn()>;

    /// A device on which a step is `weight += lr · Σ ids / targets`. While it records it runs nothing, but keeps what the
    /// step would have read and written.
    #[derive(Clone)]
    struct Machine {
        weight: Rc<Tensor>,
        records: Rc<Cell<bool>>,
        tape: Rc<RefCell<Vec<Operation>>>,
        launched_by_piece: Rc<Cell<u32>>,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                weight: Rc::new(Tensor::zeros([], (Kind::Double, Device::Cpu))),
                records: Rc::default(),
                tape: Rc::default(),
                launched_by_piece: Rc::default(),
            }
        }

        fn work(&self, inputs: &StepInputs<TokenBatch>) -> Result<StepOutputs> {
            let numbers = Tensor::zeros([1], (Kind::Double, Device::Cpu));
            let (weight, out) = (Rc::clone(&self.weight), numbers.shallow_clone());
            let (ids, lr) = (
                inputs.batches[0].tokens.ids.shallow_clone(),
                inputs.lr.shallow_clone(),
            );
            let targets = inputs.counts.targets as f64;
            let operation: Operation = Box::new(move || {
                let step = ids.sum(Kind::Double) * &lr / targets;
                let _ = weight.shallow_clone().g_add_(&step);
                out.shallow_clone().copy_(&weight);
            });
            match self.records.get() {
                true => self.tape.borrow_mut().push(operation),
                false => {
                    operation();
                    self.launched_by_piece.set(self.launched_by_piece.get() + 1);
                }
            }
            Ok(StepOutputs {
                names: vec!["loss"],
                numbers,
            })
        }

        fn graph(&self) -> StepGraph<TokenBatch> {
            let machine = self.clone();
            StepGraph::by(Box::new(move |work| {
                machine.records.set(true);
                let outputs = work()?;
                machine.records.set(false);
                let tape = machine.tape.take();
                let replay: Replay = Box::new(move || {
                    tape.iter().for_each(|operation| operation());
                    Ok(())
                });
                Ok((replay, outputs))
            }))
        }
    }

    fn inputs(step: i64, width: i64, targets: i64) -> StepInputs<TokenBatch> {
        let ids = Tensor::arange(width, (Kind::Int64, Device::Cpu)).view([1, -1]) + step;
        let counts = Counts {
            targets,
            examples: 1,
            tokens: width,
        };
        StepInputs {
            batches: vec![TokenBatch {
                targets: &ids + 1,
                tokens: Tokens {
                    ids,
                    layout: Layout::Causal,
                },
                counts,
            }],
            counts,
            lr: Tensor::from(0.5_f32 / (step + 1) as f32),
        }
    }

    /// Weights after each step; the widths of the rows and their targets change on the way.
    fn weights(mut graph: StepGraph<TokenBatch>, machine: &Machine) -> Vec<f64> {
        let shapes = [
            (4, 4),
            (4, 4),
            (6, 6),
            (4, 4),
            (4, 4),
            (4, 4),
            (4, 4),
            (4, 4),
            (6, 6),
            (4, 3),
            (4, 4),
        ];
        let step = |(step, (width, targets))| {
            let inputs = inputs(step, width, targets);
            let outputs = graph
                .launch(inputs, &mut |inputs| machine.work(inputs))
                .unwrap();
            outputs.numbers.double_value(&[0])
        };
        (0..).zip(shapes).map(step).collect()
    }

    #[test]
    fn a_recorded_step_gives_what_its_pieces_give() {
        let [by_piece, recorded] = [Machine::new(), Machine::new()];
        let expected = weights(StepGraph::off(), &by_piece);
        assert_eq!(weights(recorded.graph(), &recorded), expected);
        assert_eq!(by_piece.launched_by_piece.get(), 11);
        // Two and one before the shape had settled, three to warm up; then two of other shapes.
        assert_eq!(recorded.launched_by_piece.get(), 8);
    }
}
