//! Own documents and what commands and associations make of them.

use super::*;

fn make(world: &mut World, name: &str, format: &str, content: &str) -> Result<Value, ApiError> {
    let body = json!({ "Name": name, "Content": content, "DocumentFormat": format, "DocumentType": "Command" });
    call(world, "CreateDocument", body)
}

fn run(world: &mut World, id: &str, document: &str, parameters: &Value) -> Result<String, ApiError> {
    let body = json!({ "DocumentName": document, "InstanceIds": [id], "Parameters": parameters });
    let answer = call(world, "SendCommand", body)?;
    later(world, 3000);
    Ok(answer["Command"]["CommandId"].as_str().unwrap().to_owned())
}

fn plugin(world: &mut World, command: &str, id: &str, name: &str) -> Value {
    let body = json!({ "CommandId": command, "InstanceId": id, "PluginName": name });
    call(world, "GetCommandInvocation", body).unwrap()
}

const TWO_STEPS: &str = r#"
schemaVersion: "2.2"
description: two steps and a third for another platform
parameters:
  Word:
    type: String
    default: hello
    allowedValues: [hello, bye]
  Lines:
    type: StringList
    default: ["echo one", "echo two"]
  Port:
    type: String
    default: "443"
    allowedPattern: "[0-9]+"
mainSteps:
  - action: aws:runShellScript
    name: first
    inputs:
      runCommand:
        - "echo {{ Word }} {{Port}} {{ nobody }}"
        - "{{ Lines }}"
  - action: aws:runShellScript
    name: second
    precondition:
      StringEquals: [platformType, Linux]
    inputs:
      workingDirectory: /tmp
      timeoutSeconds: "60"
      runCommand: ["pwd", "exit 4"]
  - action: aws:runPowerShellScript
    name: third
    precondition:
      StringEquals: [platformType, Windows]
    inputs:
      runCommand: ["Get-Date"]
"#;

#[test]
fn a_documents_steps_run_in_order_with_the_values_of_its_parameters() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    make(&mut world, "TwoSteps", "YAML", TWO_STEPS).unwrap();
    let command = run(&mut world, &id, "TwoSteps", &json!({ "Word": ["bye"] })).unwrap();
    let first = plugin(&mut world, &command, &id, "first");
    assert_eq!(first["StandardOutputContent"], "bye 443 {{ nobody }}\none\ntwo\n");
    assert_eq!((&first["Status"], &first["ResponseCode"]), (&json!("Success"), &json!(0)));
    let second = plugin(&mut world, &command, &id, "second");
    assert_eq!(second["StandardOutputContent"], "/tmp\n");
    assert_eq!((&second["Status"], &second["ResponseCode"]), (&json!("Failed"), &json!(4)));
    let third = plugin(&mut world, &command, &id, "third");
    assert!(third["StandardOutputContent"].as_str().unwrap().contains("unsatisfied preconditions"), "{third}");
    let whole = result(&mut world, &command, &id);
    assert_eq!((&whole["Status"], &whole["ResponseCode"]), (&json!("Failed"), &json!(4)));
    assert!(whole.get("PluginName").is_none(), "no step was asked for");
    let wrong = json!({ "CommandId": command, "InstanceId": id, "PluginName": "fourth" });
    assert_eq!(code(&mut world, "GetCommandInvocation", wrong), "InvalidPluginName");
    let list = call(&mut world, "ListCommandInvocations", json!({ "CommandId": command, "Details": true })).unwrap();
    let plugins = list["CommandInvocations"][0]["CommandPlugins"].as_array().unwrap();
    let names: Vec<&str> = plugins.iter().map(|plugin| plugin["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["first", "second", "third"]);
}

#[test]
fn values_that_a_document_does_not_allow_are_refused() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    make(&mut world, "TwoSteps", "YAML", TWO_STEPS).unwrap();
    for parameters in [
        json!({ "Word": ["maybe"] }),
        json!({ "Word": ["hello", "bye"] }),
        json!({ "Port": ["https"] }),
        json!({ "Colour": ["red"] }),
    ] {
        let error = run(&mut world, &id, "TwoSteps", &parameters).unwrap_err();
        assert_eq!(error.code, "InvalidParameters", "{parameters}");
    }
}

#[test]
fn a_step_may_end_a_command_and_a_last_step_runs_anyway() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let step = |name: &str, command: &str, more: Value| {
        let mut inputs = json!({ "runCommand": [command] });
        inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "action": "aws:runShellScript", "name": name, "inputs": inputs })
    };
    let content = json!({ "schemaVersion": "2.2", "mainSteps": [
        step("fails", "exit 1", json!({ "onFailure": "exit" })),
        step("never", "echo never", json!({})),
        step("cleanup", "echo clean", json!({ "finallyStep": true })),
    ] });
    make(&mut world, "Ends", "JSON", &content.to_string()).unwrap();
    let command = run(&mut world, &id, "Ends", &json!({})).unwrap();
    assert_eq!(plugin(&mut world, &command, &id, "never")["Status"], "Cancelled");
    assert_eq!(plugin(&mut world, &command, &id, "cleanup")["StandardOutputContent"], "clean\n");
}

#[test]
fn schema_1_2_is_named_by_its_plugin() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let content = json!({
        "schemaVersion": "1.2",
        "parameters": { "lines": { "type": "StringList" } },
        "runtimeConfig": { "aws:runShellScript": { "properties": [
            { "id": "0.aws:runShellScript", "runCommand": "{{ lines }}" },
        ] } },
    });
    make(&mut world, "Old", "JSON", &content.to_string()).unwrap();
    let missing = run(&mut world, &id, "Old", &json!({})).unwrap_err();
    assert_eq!(missing.code, "InvalidParameters");
    let command = run(&mut world, &id, "Old", &json!({ "lines": ["echo a", "echo b"] })).unwrap();
    let answer = result(&mut world, &command, &id);
    assert_eq!(
        (&answer["PluginName"], &answer["StandardOutputContent"]),
        (&json!("aws:runShellScript"), &json!("a\nb\n"))
    );
}

#[test]
fn versions_are_counted_and_the_default_one_runs() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    let says = |word: &str| {
        json!({ "schemaVersion": "2.2", "mainSteps": [
            { "action": "aws:runShellScript", "name": "say", "inputs": { "runCommand": [format!("echo {word}")] } },
        ] })
        .to_string()
    };
    make(&mut world, "Say", "JSON", &says("one")).unwrap();
    assert_eq!(make(&mut world, "Say", "JSON", &says("one")).unwrap_err().code, "DocumentAlreadyExists");
    let update = |content: String| json!({ "Name": "Say", "Content": content, "DocumentVersion": "$LATEST" });
    assert_eq!(code(&mut world, "UpdateDocument", update(says("one"))), "DuplicateDocumentContent");
    let second = call(&mut world, "UpdateDocument", update(says("two"))).unwrap();
    assert_eq!(second["DocumentDescription"]["DocumentVersion"], "2");
    assert_eq!(second["DocumentDescription"]["DefaultVersion"], "1");
    let command = run(&mut world, &id, "Say", &json!({})).unwrap();
    assert_eq!(result(&mut world, &command, &id)["StandardOutputContent"], "one\n");
    let default = json!({ "Name": "Say", "DocumentVersion": "2" });
    call(&mut world, "UpdateDocumentDefaultVersion", default).unwrap();
    let command = run(&mut world, &id, "Say", &json!({})).unwrap();
    assert_eq!(result(&mut world, &command, &id)["StandardOutputContent"], "two\n");
    let listed = call(&mut world, "ListDocumentVersions", json!({ "Name": "Say" })).unwrap();
    assert_eq!(listed["DocumentVersions"].as_array().unwrap().len(), 2);
    assert_eq!(
        code(&mut world, "DeleteDocument", json!({ "Name": "Say", "DocumentVersion": "2" })),
        "InvalidDocumentOperation"
    );
    call(&mut world, "DeleteDocument", json!({ "Name": "Say" })).unwrap();
    assert_eq!(code(&mut world, "DescribeDocument", json!({ "Name": "Say" })), "InvalidDocument");
}

#[test]
fn content_that_no_agent_could_run_is_refused() {
    let mut world = world(Scenario::Empty);
    for (content, expected) in [
        ("{", "InvalidDocumentContent"),
        ("[]", "InvalidDocumentContent"),
        ("{}", "InvalidDocumentSchemaVersion"),
        (r#"{"schemaVersion":"9.9","mainSteps":[]}"#, "InvalidDocumentSchemaVersion"),
        (r#"{"schemaVersion":"2.2"}"#, "InvalidDocumentContent"),
        (r#"{"schemaVersion":"2.2","mainSteps":[{"action":"aws:fly","name":"x"}]}"#, "InvalidDocumentContent"),
        (r#"{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript"}]}"#, "InvalidDocumentContent"),
    ] {
        assert_eq!(make(&mut world, "Broken", "JSON", content).unwrap_err().code, expected, "{content}");
    }
    for name in ["ab", "AWS-Mine", "amazon-mine", "no spaces"] {
        let content = r#"{"schemaVersion":"2.2","mainSteps":[{"action":"aws:refreshAssociation","name":"x"}]}"#;
        assert_eq!(make(&mut world, name, "JSON", content).unwrap_err().code, "ValidationException", "{name}");
    }
}

#[test]
fn an_association_runs_once_on_each_target_also_on_one_that_comes_later() {
    let mut world = world(Scenario::Draft);
    let ids = [instance(&world, "Private-Instance-0"), instance(&world, "Private-Instance-1")];
    request(&mut world, Service::Ec2, "StopInstances", &[("InstanceId.1", &ids[1])]);
    later(&mut world, 1000);
    let body = json!({
        "Name": "AWS-RunShellScript",
        "Targets": [{ "Key": "InstanceIds", "Values": ["*"] }],
        "Parameters": { "commands": ["echo x >> /root/ran"] },
    });
    let made = call(&mut world, "CreateAssociation", body).unwrap()["AssociationDescription"].clone();
    assert_eq!(made["Overview"]["Status"], "Pending");
    let one = json!({ "AssociationId": made["AssociationId"] });
    later(&mut world, 1000);
    let after = call(&mut world, "DescribeAssociation", one.clone()).unwrap();
    assert_eq!(after["AssociationDescription"]["Overview"]["Status"], "Success");
    request(&mut world, Service::Ec2, "StartInstances", &[("InstanceId.1", &ids[1])]);
    later(&mut world, 3000);
    later(&mut world, 3000);
    for id in &ids {
        let command = send(&mut world, &[id], &["cat /root/ran"]);
        later(&mut world, 1000);
        assert_eq!(result(&mut world, &command, id)["StandardOutputContent"], "x\n", "{id}");
    }
    let commands = call(&mut world, "ListCommands", json!({})).unwrap();
    assert_eq!(commands["Commands"].as_array().unwrap().len(), 2, "an association's own are not listed");
    call(&mut world, "DeleteAssociation", one.clone()).unwrap();
    assert_eq!(code(&mut world, "DescribeAssociation", one), "AssociationDoesNotExist");
}

#[test]
fn one_at_a_time_stops_after_the_errors_that_are_allowed() {
    let mut world = world(Scenario::Draft);
    let body = |errors: &str| {
        json!({
            "DocumentName": "AWS-RunShellScript",
            "Targets": [{ "Key": "tag:Name", "Values": ["Private-Instance-0", "Private-Instance-1"] }],
            "Parameters": { "commands": ["exit 1"] },
            "MaxConcurrency": "1",
            "MaxErrors": errors,
        })
    };
    for (errors, expected) in [("0", ["Cancelled", "Failed"]), ("1", ["Failed", "Failed"])] {
        let command = call(&mut world, "SendCommand", body(errors)).unwrap()["Command"]["CommandId"].clone();
        later(&mut world, 500);
        later(&mut world, 500);
        later(&mut world, 500);
        let list = call(&mut world, "ListCommandInvocations", json!({ "CommandId": command })).unwrap();
        let list = list["CommandInvocations"].as_array().unwrap();
        let mut statuses: Vec<&str> = list.iter().map(|one| one["Status"].as_str().unwrap()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, expected, "MaxErrors {errors}");
    }
    assert_eq!(code(&mut world, "SendCommand", body("150%")), "ValidationException");
}
