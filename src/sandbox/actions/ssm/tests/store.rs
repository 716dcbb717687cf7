//! The parameter store.

use super::*;

fn put(world: &mut World, name: &str, value: &str, more: &Value) -> Result<Value, ApiError> {
    let mut body = json!({ "Name": name, "Value": value, "Type": "String" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call(world, "PutParameter", body)
}

fn value(world: &mut World, name: &str) -> Value {
    call(world, "GetParameter", json!({ "Name": name })).unwrap()["Parameter"]["Value"].clone()
}

#[test]
fn versions_and_labels_choose_among_what_was_put() {
    let mut world = world(Scenario::Empty);
    put(&mut world, "/app/one", "1", &json!({})).unwrap();
    assert_eq!(put(&mut world, "/app/one", "2", &json!({})).unwrap_err().code, "ParameterAlreadyExists");
    let second = put(&mut world, "/app/one", "2", &json!({ "Overwrite": true })).unwrap();
    assert_eq!(second["Version"], 2);
    let label = json!({ "Name": "/app/one", "ParameterVersion": 1, "Labels": ["old", "9bad"] });
    let labelled = call(&mut world, "LabelParameterVersion", label).unwrap();
    assert_eq!(labelled["InvalidLabels"], json!(["9bad"]));
    assert_eq!((value(&mut world, "/app/one"), value(&mut world, "/app/one:1")), (json!("2"), json!("1")));
    assert_eq!(value(&mut world, "/app/one:old"), "1");
    let arn = call(&mut world, "GetParameter", json!({ "Name": "/app/one" })).unwrap()["Parameter"]["ARN"].clone();
    assert_eq!(value(&mut world, arn.as_str().unwrap()), "2");
    assert_eq!(code(&mut world, "GetParameter", json!({ "Name": "/app/one:7" })), "ParameterVersionNotFound");
}

#[test]
fn names_and_values_are_held_to_the_stores_rules() {
    let mut world = world(Scenario::Empty);
    let deep = "/a".repeat(16);
    for (name, value, more, expected) in [
        ("/aws/mine", "1", json!({}), "AccessDeniedException"),
        ("ssm-mine", "1", json!({}), "ValidationException"),
        ("not/qualified", "1", json!({}), "ValidationException"),
        ("with space", "1", json!({}), "ValidationException"),
        (deep.as_str(), "1", json!({}), "HierarchyLevelLimitExceededException"),
        ("/x", "1", json!({ "Type": "Number" }), "ValidationException"),
        ("/x", "y", json!({ "AllowedPattern": "\\d+" }), "ParameterPatternMismatchException"),
        ("/x", "y", json!({ "AllowedPattern": "(" }), "InvalidAllowedPatternException"),
    ] {
        assert_eq!(put(&mut world, name, value, &more).unwrap_err().code, expected, "{name} {value}");
    }
    assert!(world.ssm.parameters.is_empty());
}

#[test]
fn a_secret_is_shown_only_decrypted() {
    let mut world = world(Scenario::Empty);
    put(&mut world, "/secret", "hush", &json!({ "Type": "SecureString" })).unwrap();
    assert_ne!(value(&mut world, "/secret"), "hush");
    let open = call(&mut world, "GetParameter", json!({ "Name": "/secret", "WithDecryption": true })).unwrap();
    assert_eq!(open["Parameter"]["Value"], "hush");
    let described = call(&mut world, "DescribeParameters", json!({})).unwrap();
    assert_eq!(described["Parameters"][0]["KeyId"], "alias/aws/ssm");
}

#[test]
fn a_path_is_one_level_unless_it_is_recursive() {
    let mut world = world(Scenario::Empty);
    for name in ["/app/one", "/app/deep/two", "/application/three"] {
        put(&mut world, name, "x", &json!({})).unwrap();
    }
    let names = |world: &mut World, recursive: bool| -> Vec<String> {
        let body = json!({ "Path": "/app/", "Recursive": recursive });
        let answer = call(world, "GetParametersByPath", body).unwrap();
        let list = answer["Parameters"].as_array().unwrap();
        list.iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&mut world, false), ["/app/one"]);
    assert_eq!(names(&mut world, true), ["/app/deep/two", "/app/one"]);
}

#[test]
fn a_command_may_name_a_parameter_of_the_store() {
    let mut world = world(Scenario::Draft);
    let id = instance(&world, "Private-Instance-0");
    put(&mut world, "/site", "api.ipify.org", &json!({})).unwrap();
    let command = send(&mut world, &[&id], &["echo {{ssm:/site}}"]);
    later(&mut world, 1000);
    assert_eq!(result(&mut world, &command, &id)["StandardOutputContent"], "api.ipify.org\n");
    let unknown = json!({
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": [id],
        "Parameters": { "commands": ["echo {{ ssm:/nothing }}"] },
    });
    assert_eq!(code(&mut world, "SendCommand", unknown), "InvalidParameters");
}

#[test]
fn tags_are_kept_on_parameters_and_documents() {
    let mut world = world(Scenario::Empty);
    put(&mut world, "/x", "1", &json!({ "Tags": [{ "Key": "a", "Value": "b" }] })).unwrap();
    let resource = |more: Value| {
        let mut body = json!({ "ResourceType": "Parameter", "ResourceId": "/x" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    call(&mut world, "AddTagsToResource", resource(json!({ "Tags": [{ "Key": "c", "Value": "d" }] }))).unwrap();
    call(&mut world, "RemoveTagsFromResource", resource(json!({ "TagKeys": ["a"] }))).unwrap();
    let tags = call(&mut world, "ListTagsForResource", resource(json!({}))).unwrap();
    assert_eq!(tags["TagList"], json!([{ "Key": "c", "Value": "d" }]));
    let nothing = json!({ "ResourceType": "Document", "ResourceId": "Nothing" });
    assert_eq!(code(&mut world, "ListTagsForResource", nothing), "InvalidResourceId");
}
