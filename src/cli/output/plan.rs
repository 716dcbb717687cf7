//! The `plan` document.

use serde_json::{Value, json};

use super::Paint;
use crate::plan::{Outputs, Plan, PlanKind, Step};

/// The document of the design: `version`, `stack`, `steps` with `id`, `title`, `reason`, `operation`, `aws_cli`, `state`.
pub fn plan_json(plan: &Plan) -> Value {
    let outputs = plan.outputs();
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            json!({
                "id": step.id,
                "title": step.title,
                "reason": step.reason,
                "operation": step.operation(),
                "aws_cli": step.aws_cli(&outputs),
                "state": step.state,
                "resource_id": step.output.as_ref().and_then(|output| output.id()),
            })
        })
        .collect();
    json!({
        "version": 1,
        "stack": plan.stack,
        "kind": plan.kind,
        "steps": steps,
        "notes": plan.notes,
        "blockers": plan.blockers,
    })
}

/// For people: what is there already in one line each, what is to do with its reason and CLI line.
pub fn plan_text(paint: Paint, plan: &Plan) -> String {
    let outputs = plan.outputs();
    let mut out = String::new();
    for step in &plan.steps {
        out.push_str(&step_text(paint, step, &outputs));
    }
    for note in &plan.notes {
        out.push_str(&format!("note: {note}\n"));
    }
    for blocker in &plan.blockers {
        let why = &blocker.why;
        out.push_str(&format!("{} {why}. {}\n", paint.bad("blocked:"), blocker.next_move));
    }
    out.push_str(&summary(plan));
    out
}

fn step_text(paint: Paint, step: &Step, outputs: &Outputs) -> String {
    if step.is_done() {
        let id = step.output.as_ref().and_then(|output| output.id()).unwrap_or_default();
        return format!("{} {} {}\n", paint.good("✓"), step.title, paint.faint(id));
    }
    let cli = short(&step.aws_cli(outputs));
    format!(
        "{} {}\n    {}\n    {} {}\n",
        paint.warn("○"),
        paint.strong(&step.title),
        step.reason,
        paint.faint("$"),
        paint.faint(&cli)
    )
}

/// A line that holds a whole boot script shows where it begins and ends. The JSON document has all of it.
fn short(cli: &str) -> String {
    let lines: Vec<&str> = cli.lines().collect();
    match lines.as_slice() {
        [first, middle @ .., last] if !middle.is_empty() => {
            format!("{first}\n      … {} more lines, whole with --output json …\n      {last}", middle.len())
        }
        _ => cli.replace('\n', "\n      "),
    }
}

/// One line: how much there is to do.
fn summary(plan: &Plan) -> String {
    let to_do = plan.to_do().count();
    let stack = &plan.stack;
    if plan.is_empty() {
        return match plan.kind {
            PlanKind::Provision => format!("Stack {stack}: nothing to do, everything is in place.\n"),
            PlanKind::Teardown => format!("Stack {stack}: nothing to do, nothing carries its tag.\n"),
            PlanKind::Repair => format!("Stack {stack}: nothing to repair.\n"),
        };
    }
    let verb = match plan.kind {
        PlanKind::Provision => "build",
        PlanKind::Teardown => "remove",
        PlanKind::Repair => "repair",
    };
    format!("Stack {stack}: {to_do} of {} steps to {verb}.\n", plan.steps.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_script_is_cut_in_its_middle() {
        let text = short("aws ec2 run-instances --user-data '#!/bin/bash\na\nb\n' --count 1");
        assert!(text.starts_with("aws ec2 run-instances") && text.ends_with("' --count 1"), "{text}");
        assert!(text.contains("2 more lines"), "{text}");
        assert_eq!(short("aws ec2 create-vpc"), "aws ec2 create-vpc");
    }
}
