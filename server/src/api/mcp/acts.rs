//! Acts of agents: calls that change something. Each has a reason, an idempotency key and optionally an expected effect. It is stored
//! before it is carried out, and its result after that, so that a repeated call is carried out once even if the server stops in between.

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::AgentAct;
use wire::series::describe;

use super::answer::Answer;
use super::caller::Caller;
use crate::error::ApiError;
use crate::live::clock::now_ms;

/// Longest reason, bytes.
const REASON_BYTES: usize = 2_000;
/// Length of an idempotency key, characters.
const KEY_CHARS: (usize, usize) = (8, 100);
/// Longest name of a metric, characters.
const METRIC_CHARS: usize = 200;
/// Largest expected difference: the journal shows it with all its digits.
const LARGEST_DIFFERENCE: f64 = 1e12;

/// The expected effect of an act, which can be compared with the measured one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEffect {
    /// Name of the series that changes: loss.valid.
    pub metric: String,
    /// Expected value minus the value without the act, in the unit of the metric.
    pub difference: f64,
    /// Step by which the difference is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_step: Option<u64>,
    /// Probability that the difference has this sign, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

impl ExpectedEffect {
    /// `loss.valid -0.02 nats/token by step 500, probability 0.7`.
    pub fn phrase(&self) -> String {
        let Self { metric, difference, by_step, probability } = self;
        let unit = describe(metric).unit;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let by_step = by_step.map(|step| format!(" by step {step}")).unwrap_or_default();
        let probability = probability.map(|probability| format!(", probability {probability}")).unwrap_or_default();
        format!("{metric} {difference:+}{unit}{by_step}{probability}")
    }
}

/// The arguments that all acts have.
#[derive(Debug, Clone)]
pub struct Intent {
    pub reason: String,
    pub expected_effect: Option<ExpectedEffect>,
    pub idempotency_key: String,
    pub dry_run: bool,
}

/// Arguments of a tool that changes something: the listed ones and those of [`Intent`].
macro_rules! acting {
    ($name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }) => {
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$doc])* $field: $kind,)*
            /// The reason, in one sentence. The journal of the run shows it; get_journal without a run lists the reasons of all calls.
            reason: String,
            /// The expected effect as a number, shown with the reason.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            expected_effect: Option<crate::api::mcp::acts::ExpectedEffect>,
            /// A new key of 8 to 100 letters, digits and -_.: for each act. A call that is repeated with the same key is carried out once
            /// and returns the first result.
            idempotency_key: String,
            /// Returns what the call would change, and changes nothing.
            #[serde(default, skip_serializing)]
            dry_run: bool,
            /// Your model, for the journal: claude-opus-4.
            #[serde(default, skip_serializing)]
            model: Option<String>,
            /// Id or title of your conversation, for the journal.
            #[serde(default, skip_serializing)]
            conversation: Option<String>,
        }

        impl $name {
            /// The act of this call. `run` is the run that it changes.
            fn act(
                &self,
                caller: crate::api::mcp::caller::Caller,
                tool: &'static str,
                run: Option<&str>,
            ) -> Result<crate::api::mcp::acts::Act, crate::error::ApiError> {
                let intent = crate::api::mcp::acts::Intent {
                    reason: self.reason.clone(),
                    expected_effect: self.expected_effect.clone(),
                    idempotency_key: self.idempotency_key.clone(),
                    dry_run: self.dry_run,
                };
                let caller = caller.with_origin(self.model.as_deref(), self.conversation.as_deref());
                let arguments = serde_json::to_value(self).unwrap_or_default();
                crate::api::mcp::acts::Act::new(caller, tool, arguments, intent, run)
            }
        }
    };
}
pub(super) use acting;

/// A call that acts.
pub struct Act {
    pub caller: Caller,
    tool: &'static str,
    arguments: Value,
    intent: Intent,
    run: Option<String>,
}

/// Looks up the result of an act whose result was not stored; `None` if it is not known.
pub type Recovery = BoxFuture<'static, Result<Option<Answer>, ApiError>>;

impl Act {
    /// # Errors
    /// 422 for an invalid reason, key or expected effect.
    pub fn new(
        caller: Caller,
        tool: &'static str,
        arguments: Value,
        intent: Intent,
        run: Option<&str>,
    ) -> Result<Self, ApiError> {
        intent.check()?;
        Ok(Self { caller, tool, arguments, intent, run: run.map(str::to_owned) })
    }

    /// Whether the call only asks for the plan.
    pub fn is_dry(&self) -> bool {
        self.intent.dry_run
    }

    /// Reason and expected effect, for the journal.
    pub fn text(&self) -> String {
        self.intent.text()
    }

    /// Carries the act out once. `perform` carries it out; `recover` looks up the result of an earlier call that got none.
    ///
    /// # Errors
    /// Those of the act; 409 if another call has used the key, and if the outcome of the act is unknown.
    pub async fn carry_out<R>(
        self,
        perform: impl FnOnce(Caller) -> R + Send + 'static,
        recover: impl FnOnce(Caller, AgentAct) -> Recovery + Send + 'static,
    ) -> Result<Answer, ApiError>
    where
        R: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        let Some(under_way) = self.caller.begin(&self.intent.idempotency_key) else {
            return Err(ApiError::conflict("act_under_way", "a call with this idempotency_key is being carried out")
                .field("idempotency_key")
                .hint("repeat the call with the same key in a few seconds to get its result"));
        };
        // A client that disconnects does not interrupt an act.
        let task = tokio::spawn(async move {
            let _under_way = under_way;
            self.once(perform, recover).await
        });
        task.await.map_err(|source| ApiError::internal("carrying out an act", source))?
    }

    async fn once<R>(
        self,
        perform: impl FnOnce(Caller) -> R + Send,
        recover: impl FnOnce(Caller, AgentAct) -> Recovery + Send,
    ) -> Result<Answer, ApiError>
    where
        R: Future<Output = Result<Answer, ApiError>> + Send,
    {
        let (store, token) = (self.caller.store().clone(), self.caller.token());
        let key = self.intent.idempotency_key.clone();
        // A call that is repeated reads no run.
        if let Some(known) = store.agent_act(token, &key).await? {
            return self.again(known, recover).await;
        }
        let record = self.record().await?;
        if let Some(known) = store.begin_agent_act(&record).await? {
            return self.again(known, recover).await;
        }
        let done = perform(self.caller.clone()).await;
        match &done {
            Ok(answer) => store.end_agent_act(token, &key, &to_text(answer)?).await?,
            // Refused: nothing was done.
            Err(error) if error.status.is_client_error() => store.forget_agent_act(token, &key).await?,
            // It may have been done.
            Err(_) => {}
        }
        done
    }

    /// Answers a call whose key is known.
    async fn again(
        self,
        known: AgentAct,
        recover: impl FnOnce(Caller, AgentAct) -> Recovery + Send,
    ) -> Result<Answer, ApiError> {
        if known.arguments != self.arguments_hash() {
            let message = format!("this key was used for a call of {} with other arguments", known.tool);
            return Err(ApiError::conflict("key_reused", message)
                .field("idempotency_key")
                .hint("give a new key for a different call, or the same arguments to repeat the earlier one"));
        }
        let repeated = |answer: Answer| {
            answer.note("this call is repeated: it was carried out before, and this is its first result")
        };
        if let Some(text) = &known.answer {
            let answer = serde_json::from_str(text);
            return answer.map(repeated).map_err(|source| ApiError::internal("reading the result of an act", source));
        }
        let (token, key) = (known.token, known.key.clone());
        let Some(answer) = recover(self.caller.clone(), known).await? else {
            let message = "the server stopped or a worker did not answer before the result of this call was stored";
            return Err(ApiError::conflict("outcome_unknown", message)
                .field("idempotency_key")
                .hint("get_journal and list_runs show whether it was carried out; if not, call with a new key"));
        };
        self.caller.store().end_agent_act(token, &key, &to_text(&answer)?).await?;
        Ok(repeated(answer))
    }

    /// BLAKE3 of the tool and its arguments, hexadecimal.
    fn arguments_hash(&self) -> String {
        blake3::hash(format!("{}\n{}", self.tool, self.arguments).as_bytes()).to_hex().to_string()
    }

    async fn record(&self) -> Result<AgentAct, ApiError> {
        let before = match &self.run {
            Some(run) => self.caller.last_event(run).await?,
            None => 0,
        };
        let expected = self.intent.expected_effect.as_ref().map(|expected| serde_json::json!(expected).to_string());
        Ok(AgentAct {
            token: self.caller.token(),
            key: self.intent.idempotency_key.clone(),
            tool: self.tool.to_owned(),
            arguments: self.arguments_hash(),
            run: self.run.clone(),
            before,
            reason: self.intent.reason.clone(),
            expected,
            started_ms: now_ms(),
            answer: None,
        })
    }
}

/// The answer to a dry run. `place` says where the call needs its role.
pub fn dry_run(mut plan: Answer, place: &str) -> Answer {
    plan.data["dry_run"] = true.into();
    plan.note(format!("dry run: nothing was changed; the call needs the role steer {place}"))
        .next("the same call without dry_run")
}

fn to_text(answer: &Answer) -> Result<String, ApiError> {
    serde_json::to_string(answer).map_err(|source| ApiError::internal("storing the result of an act", source))
}

impl Intent {
    /// Reason and expected effect on one line: `the loss is flat (expected: loss.valid -0.02 nats/token by step 500)`.
    fn text(&self) -> String {
        match &self.expected_effect {
            None => self.reason.clone(),
            Some(expected) => format!("{} (expected: {})", self.reason, expected.phrase()),
        }
    }

    fn check(&self) -> Result<(), ApiError> {
        let invalid = |field: &str, message: String, hint: &str| {
            Err(ApiError::invalid("arguments_invalid", message).field(field).hint(hint))
        };
        let (reason, key) = (self.reason.trim().len(), &self.idempotency_key);
        if reason == 0 || self.reason.len() > REASON_BYTES {
            return invalid(
                "reason",
                format!("the reason has {reason} bytes"),
                "give a sentence of at most 2,000 bytes",
            );
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        if !(KEY_CHARS.0..=KEY_CHARS.1).contains(&key.chars().count()) || !key.chars().all(is_plain) {
            let message = format!("the key of {} characters is invalid", key.chars().count());
            return invalid("idempotency_key", message, "give 8 to 100 letters, digits and -_.: such as halve-lr-1");
        }
        let Some(expected) = &self.expected_effect else { return Ok(()) };
        let metric = expected.metric.trim();
        if metric.is_empty() || metric.chars().count() > METRIC_CHARS || metric.chars().any(char::is_control) {
            return invalid(
                "expected_effect.metric",
                "the name of the series is empty, longer than 200 characters or has control characters".to_owned(),
                "give the name of a series, such as loss.valid",
            );
        }
        if !expected.difference.is_finite() || expected.difference.abs() > LARGEST_DIFFERENCE {
            let message = format!("a difference of {:e} cannot be expected", expected.difference);
            return invalid("expected_effect.difference", message, "give a number from -1e12 to 1e12");
        }
        match expected.probability {
            Some(probability) if !(0.0..=1.0).contains(&probability) => {
                let message = format!("the probability {probability} is out of range");
                invalid("expected_effect.probability", message, "give a number from 0 to 1")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        let expected = ExpectedEffect {
            metric: "loss.valid".into(),
            difference: -0.02,
            by_step: Some(500),
            probability: Some(0.7),
        };
        Intent {
            reason: "the loss is flat".into(),
            expected_effect: Some(expected),
            idempotency_key: "halve-lr-1".into(),
            dry_run: false,
        }
    }

    #[test]
    fn the_journal_has_reason_and_expected_effect() {
        assert_eq!(
            intent().text(),
            "the loss is flat (expected: loss.valid -0.02 nats/token by step 500, probability 0.7)"
        );
        assert_eq!(Intent { expected_effect: None, ..intent() }.text(), "the loss is flat");
    }

    #[test]
    fn an_invalid_intent_names_its_field() {
        let field = |intent: Intent| intent.check().err().and_then(|error| error.body.field);
        assert_eq!(field(intent()), None);
        assert_eq!(field(Intent { reason: " ".into(), ..intent() }).as_deref(), Some("reason"));
        for key in ["short", "with space", "é-not-ascii", &"x".repeat(101)] {
            assert_eq!(
                field(Intent { idempotency_key: key.into(), ..intent() }).as_deref(),
                Some("idempotency_key"),
                "{key}"
            );
        }
        let with = |change: fn(&mut ExpectedEffect)| {
            let mut changed = intent();
            changed.expected_effect.iter_mut().for_each(change);
            field(changed)
        };
        assert_eq!(with(|expected| expected.metric.clear()).as_deref(), Some("expected_effect.metric"));
        for difference in [f64::NAN, f64::INFINITY, -1e300, 1.1e12] {
            let mut changed = intent();
            changed.expected_effect.iter_mut().for_each(|expected| expected.difference = difference);
            assert_eq!(field(changed).as_deref(), Some("expected_effect.difference"), "{difference}");
        }
        assert_eq!(with(|expected| expected.probability = Some(1.5)).as_deref(), Some("expected_effect.probability"));
    }
}
