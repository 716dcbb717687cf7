//! AWS's wire formats, seen from the server: requests are decoded, answers and errors are encoded. Pure.
//!
//! EC2, IAM and STS speak the query protocol (a form in, XML out), SSM speaks JSON 1.1.

mod decode;
mod error;
mod query;
pub mod xml;

pub use decode::decode;
pub use error::ApiError;
pub use query::Query;
pub use xml::Xml;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The AWS services that the sandbox answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    Ec2,
    Iam,
    Sts,
    Ssm,
}

impl Service {
    /// The name in credential scopes and endpoint host names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Ssm => "ssm",
        }
    }

    /// The service of a credential scope's name.
    pub fn from_scope(name: &str) -> Option<Self> {
        [Self::Ec2, Self::Iam, Self::Sts, Self::Ssm].into_iter().find(|service| service.as_str() == name)
    }
}

/// What a request carries beside its action.
#[derive(Debug, Clone, PartialEq)]
pub enum Params {
    /// EC2, IAM, STS: the form's fields, `Action` and `Version` left out.
    Query(Query),
    /// SSM: the body.
    Json(Value),
}

/// One API request, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub service: Service,
    /// `DescribeVpcs`, `SendCommand`.
    pub action: String,
    pub params: Params,
}

impl Request {
    /// A query request, as a client of EC2, IAM or STS would have sent it.
    pub fn query<K: Into<String>, V: Into<String>>(
        service: Service,
        action: impl Into<String>,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self { service, action: action.into(), params: Params::Query(pairs.into_iter().collect()) }
    }

    /// A JSON request, as a client of SSM would have sent it.
    pub fn json(service: Service, action: impl Into<String>, body: Value) -> Self {
        Self { service, action: action.into(), params: Params::Json(body) }
    }

    /// The form's fields; none for a JSON request.
    pub fn form(&self) -> Query {
        match &self.params {
            Params::Query(query) => query.clone(),
            Params::Json(_) => Query::default(),
        }
    }

    /// The JSON body; null for a query request.
    pub fn body(&self) -> &Value {
        const NULL: &Value = &Value::Null;
        match &self.params {
            Params::Query(_) => NULL,
            Params::Json(body) => body,
        }
    }
}

/// What an action answers, before it is put in its service's envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// EC2: the members beside `requestId`. IAM and STS: the members of `<ActionResult>`; an empty one means that the
    /// operation has no result element.
    Xml(Xml),
    Json(Value),
}

/// One API answer, encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
    pub request_id: String,
    /// What was asked, for logs: `ec2:DescribeVpcs`. Empty where the request could not be read.
    pub operation: String,
    /// The error's code. `None`: no error.
    pub error: Option<String>,
}

const XML_TYPE: &str = "text/xml;charset=UTF-8";
const JSON_TYPE: &str = "application/x-amz-json-1.1";

/// IAM's operations whose result is an element with nothing in it. boto3 breaks where it is missing.
const EMPTY_RESULTS: [&str; 1] = ["UpdateRole"];

/// Puts an answer in the envelope of its service.
pub fn encode(service: Service, action: &str, body: &Body, request_id: String) -> Response {
    let (content_type, body) = match body {
        Body::Json(value) => (JSON_TYPE, value.to_string()),
        Body::Xml(members) => {
            let name = format!("{action}Response");
            let document = match service {
                Service::Iam | Service::Sts => {
                    let has_result = !members.is_empty() || EMPTY_RESULTS.contains(&action);
                    let result = has_result.then(|| (format!("{action}Result"), members.clone()));
                    let mut envelope = Xml::new();
                    if let Some((name, members)) = result {
                        envelope = envelope.node(&name, members);
                    }
                    envelope.node("ResponseMetadata", Xml::new().text("RequestId", &request_id))
                }
                Service::Ec2 | Service::Ssm => Xml::new().text("requestId", &request_id).append(members.clone()),
            };
            (XML_TYPE, xml::document(&name, namespace(service), &document))
        }
    };
    Response { status: 200, content_type, body, request_id, operation: String::new(), error: None }
}

/// SSM's errors that spell their member `message`; the model gives most a `Message`, and some none at all.
const SMALL_MESSAGE: [&str; 16] = [
    "HierarchyLevelLimitExceededException",
    "InvalidAllowedPatternException",
    "InvalidFilterOption",
    "InvalidInstanceInformationFilterValue",
    "InvalidKeyId",
    "ParameterAlreadyExists",
    "ParameterLimitExceeded",
    "ParameterMaxVersionLimitExceeded",
    "ParameterNotFound",
    "ParameterPatternMismatchException",
    "ParameterVersionLabelLimitExceeded",
    "ParameterVersionNotFound",
    "ThrottlingException",
    "UnknownOperationException",
    "UnsupportedParameterType",
    "ValidationException",
];

/// Puts an error in the envelope of its service.
pub fn encode_error(service: Service, error: &ApiError, request_id: String) -> Response {
    let fault = Xml::new().text("Code", &error.code).text("Message", &error.message);
    let (content_type, body) = match service {
        Service::Ssm => {
            let mut body = serde_json::json!({ "__type": error.code });
            if let (false, Some(map)) = (error.message.is_empty(), body.as_object_mut()) {
                let member = if SMALL_MESSAGE.contains(&error.code.as_str()) { "message" } else { "Message" };
                map.insert(member.to_owned(), error.message.as_str().into());
            }
            (JSON_TYPE, body.to_string())
        }
        Service::Ec2 => {
            let document = Xml::new().node("Errors", Xml::new().node("Error", fault)).text("RequestID", &request_id);
            (XML_TYPE, xml::document("Response", None, &document))
        }
        Service::Iam | Service::Sts => {
            let sender = if error.status < 500 { "Sender" } else { "Receiver" };
            let document =
                Xml::new().node("Error", Xml::new().text("Type", sender).append(fault)).text("RequestId", &request_id);
            (XML_TYPE, xml::document("ErrorResponse", namespace(service), &document))
        }
    };
    Response {
        status: error.status,
        content_type,
        body,
        request_id,
        operation: String::new(),
        error: Some(error.code.clone()),
    }
}

/// What a service answers when it fails itself.
pub fn internal_failure() -> Response {
    let error = ApiError::new("InternalError", "An internal error has occurred").with_status(500);
    encode_error(Service::Ec2, &error, "00000000-0000-4000-8000-000000000000".to_owned())
}

fn namespace(service: Service) -> Option<&'static str> {
    match service {
        Service::Ec2 => Some("http://ec2.amazonaws.com/doc/2016-11-15/"),
        Service::Iam => Some("https://iam.amazonaws.com/doc/2010-05-08/"),
        Service::Sts => Some("https://sts.amazonaws.com/doc/2011-06-15/"),
        Service::Ssm => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_error_envelope() {
        let error = ApiError::new("InvalidVpcID.NotFound", "The vpc ID <x> does not exist");
        let ec2 = encode_error(Service::Ec2, &error, "r1".to_owned());
        assert_eq!(ec2.status, 400);
        assert!(ec2.body.contains(
            "<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>\
             <Message>The vpc ID &lt;x&gt; does not exist</Message></Error></Errors><RequestID>r1</RequestID></Response>"
        ));
        assert!(encode_error(Service::Iam, &error, "r".to_owned()).body.contains("<ErrorResponse xmlns="));
        let ssm = encode_error(Service::Ssm, &error, "r".to_owned());
        assert_eq!(ssm.content_type, "application/x-amz-json-1.1");
        assert!(ssm.body.starts_with(r#"{"__type":"InvalidVpcID.NotFound""#));
    }

    #[test]
    fn iam_answers_are_wrapped_in_a_result_and_ec2_answers_are_not() {
        let body = Body::Xml(Xml::new().text("Account", "1"));
        let sts = encode(Service::Sts, "GetCallerIdentity", &body, "r".to_owned());
        assert!(
            sts.body
                .contains("<GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult><ResponseMetadata>")
        );
        let ec2 = encode(Service::Ec2, "DescribeVpcs", &body, "r".to_owned());
        assert!(ec2.body.contains("<requestId>r</requestId><Account>1</Account></DescribeVpcsResponse>"));
    }
}
