//! The plan while it grows, and how what exists is found. Pure.

use crate::model::{Instance, InstanceState, Items, NAME, Network, Resource, STACK, STEP, Tags};
use crate::plan::{Call, Output, Produced, Ref, Spec, Step, StepId, StepState};

/// A plan that grows from top to bottom.
pub(super) struct Draft<'a> {
    pub(super) spec: &'a Spec,
    pub(super) network: &'a Network,
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
}

/// What a step says for people.
pub(super) struct Text {
    pub(super) title: String,
    pub(super) reason: String,
}

pub(super) fn text(title: impl Into<String>, reason: impl Into<String>) -> Text {
    Text { title: title.into(), reason: reason.into() }
}

impl<'a> Draft<'a> {
    pub(super) fn new(spec: &'a Spec, network: &'a Network) -> Self {
        Self { spec, network, steps: Vec::new(), notes: Vec::new() }
    }

    /// Adds a step. `exists` is what makes it done. Of `waits_for`, those count that the plan has.
    pub(super) fn step(&mut self, id: &str, text: Text, call: Call, waits_for: &[&str], exists: Option<Output>) {
        let tags = if call.tag_resource_types().is_empty() {
            Tags::default()
        } else {
            let name = format!("{}-{id}", self.spec.name);
            [(STACK, self.spec.name.as_str()), (STEP, id), (NAME, name.as_str())].into_iter().collect()
        };
        let in_plan = |needed: &&&str| self.steps.iter().any(|step| step.id.as_str() == **needed);
        let waits_for = waits_for.iter().filter(in_plan).map(|&needed| StepId::from(needed)).collect();
        let state = if exists.is_some() { StepState::Done } else { StepState::ToDo };
        let Text { title, reason } = text;
        self.steps.push(Step { id: id.into(), title, reason, call, waits_for, tags, state, output: exists });
    }

    /// A handle on what a step made or will make.
    pub(super) fn made<T: Produced>(&self, id: &str) -> Ref<T> {
        let existing = self.find(id).and_then(|step| step.output.as_ref()).and_then(T::pick);
        existing.map_or_else(|| Ref::Made(id.into()), Ref::Existing)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.id.as_str() == id)
    }

    /// Whether the tags say that this stack's step `id` made it.
    pub(super) fn is_ours(&self, tags: &Tags, id: &str) -> bool {
        tags.stack() == Some(&self.spec.name) && tags.step() == Some(id)
    }

    /// Whether the tags say that this stack made it.
    pub(super) fn is_of_stack(&self, tags: &Tags) -> bool {
        tags.stack() == Some(&self.spec.name)
    }

    /// The first of `items` that the stack's step `id` made.
    pub(super) fn ours<'v, V>(
        &self,
        items: &'v Items<V>,
        id: &str,
        resource: impl Fn(&'v V) -> Resource<'v>,
    ) -> Option<&'v V> {
        items.values().find(|item| self.is_ours(resource(item).tags(), id))
    }

    /// What is only asked is done when nothing is to change: then there is nothing new to ask about.
    pub(super) fn settle_checks(&mut self) {
        if self.steps.iter().any(|step| !step.is_done() && step.call.changes()) {
            return;
        }
        for step in self.steps.iter_mut().filter(|step| !step.call.changes()) {
            step.state = StepState::Done;
            step.output = Some(Output::None);
        }
    }
}

/// Whether an instance is there to stay. A terminated one is shown for an hour, tags and all.
pub(super) fn is_alive(instance: &Instance) -> bool {
    !matches!(instance.state, InstanceState::Terminated | InstanceState::ShuttingDown)
}

/// The output that stands for an instance. `None`: its interface is not shown yet.
pub(super) fn instance_output(instance: &Instance) -> Option<Output> {
    let network_interface_id = instance.network_interface_ids.first()?.clone();
    Some(Output::Instance { instance_id: instance.instance_id.clone(), network_interface_id })
}
