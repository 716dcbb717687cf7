//! Asks a new host, through SSM, whether its boot script did what it should.

use std::time::Duration;

use super::Context;
use super::settle::{Look, until};
use crate::aws::error::{Error, Kind};
use crate::aws::run_command::{CommandResult, RunOptions, run_command};
use crate::model::InstanceId;
use crate::plan::Output;

/// How long the agent may take to register: AWS says within minutes of the boot.
const AGENT: Duration = Duration::from_secs(300);

/// Waits for the end of the boot script; its exit status is cloud-init's. On failure its last words are what helps.
const SCRIPT: &str = "cloud-init status --wait --long\n\
                      status=$?\n\
                      [ \"$status\" -eq 0 ] || tail -n 20 /var/log/cloud-init-output.log\n\
                      exit \"$status\"\n";

/// Waits until the instance is managed and online and its boot script has ended well.
pub(super) async fn verify(context: Context<'_>, instance_id: &InstanceId) -> Result<Output, Error> {
    online(context, instance_id).await?;
    (context.say)(format!("{instance_id}: waiting for the boot script"));
    let options =
        RunOptions { execution_timeout_s: 600, delivery_timeout_s: 60, comment: "natdeck: boot script".to_owned() };
    let mut result = CommandResult::NoResult;
    run_command(context.session, std::slice::from_ref(instance_id), SCRIPT, options, |_, ended| result = ended).await?;
    let (stdout, stderr, exit_code) = result.into_output()?;
    // 2 is cloud-init's "done, with recoverable errors", newer than AL2's cloud-init.
    if matches!(exit_code, 0 | 2) {
        return Ok(Output::None);
    }
    let said = if stdout.trim().is_empty() { stderr } else { stdout };
    let last: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = last.get(last.len().saturating_sub(6)..).unwrap_or_default().join(" / ");
    let message =
        format!("the boot script of {instance_id} failed: {last}; its /var/log/cloud-init-output.log has all of it");
    Err(Error::new(Kind::NotSettled, "SendCommand", message))
}

async fn online(context: Context<'_>, instance_id: &InstanceId) -> Result<(), Error> {
    const OPERATION: &str = "DescribeInstanceInformation";
    let what = format!("the SSM agent of {instance_id}");
    until(context, &what, AGENT, || async {
        let filter = aws_sdk_ssm::types::InstanceInformationStringFilter::builder()
            .key("InstanceIds")
            .values(instance_id.as_str())
            .build()
            .map_err(|error| Error::new(Kind::Service, OPERATION, error.to_string()))?;
        let request = context.session.ssm().describe_instance_information().filters(filter);
        let answer = request.send().await.map_err(context.session.on(OPERATION))?;
        let managed = answer.instance_information_list.unwrap_or_default().into_iter().next();
        Ok(match managed.and_then(|managed| managed.ping_status).as_ref().map(aws_sdk_ssm::types::PingStatus::as_str) {
            Some("Online") => Look::There,
            Some(status) => Look::Yet(status.to_owned()),
            None => Look::Yet("not registered yet".to_owned()),
        })
    })
    .await
}
