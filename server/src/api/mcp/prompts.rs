//! Prompts: instructions for a conversation, which a person chooses in a client. That person writes the arguments.

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};

use super::answer::short;

/// Longest argument, bytes.
const ARGUMENT_BYTES: usize = 400;

/// An argument: its name, what it is, and whether it is required.
type Argument = (&'static str, &'static str, bool);

struct Template {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    arguments: &'static [Argument],
    /// The text; `{NAME}` stands for an argument.
    text: &'static str,
}

const RUN: Argument = ("run", "Id of the run.", true);

const TEMPLATES: [Template; 5] = [
    Template {
        name: "triage_lab",
        title: "Triage the lab",
        about: "Finds what needs attention in the lab now, most urgent first.",
        arguments: &[],
        text: "Triage this lab. Call lab_status, then diagnose for each run that trains or is paused, and list_runs with \
               state failed,lost. For each finding, look at its evidence with get_series. Report a table of at most ten \
               lines, most urgent first: run, what is wrong with the measured value and its threshold, the cause if the \
               journal shows one, and the remedy with its expected effect as a number. Name what you could not check. \
               Change nothing before I agree.",
    },
    Template {
        name: "read_curve",
        title: "Read this curve",
        about: "Explains the curves of a run: phases, changes, anomalies.",
        arguments: &[RUN, ("series", "Name of a series; the losses by default.", false)],
        text: "Read the curves of the run {run} {series}. Call get_run, get_figure and get_series (summary first, then exact \
               values around the steps of interest), get_journal for the changes, and diagnose. Describe the phases of \
               the training with steps and values, say which event explains each change of the curve, compare the loss \
               with the uniform loss and the unigram entropy that get_run gives as references, and say what is noise: \
               noise_floor has the spread over seeds. Separate what is measured from what you suspect.",
    },
    Template {
        name: "plan_sweep",
        title: "Plan a sweep",
        about: "Plans a sweep within a budget, with its cost and the smallest difference that it can detect.",
        arguments: &[
            ("goal", "What to find out.", true),
            ("device_hours", "Budget, hours of training on one device.", false),
        ],
        text: "Plan a sweep for this goal: {goal}. The budget in device hours, if one is given: {device_hours}. Look at \
               earlier runs with list_runs and rank, and at noise_floor for the smallest difference that can be \
               detected. Choose baseline, hyperparameters, ranges and scales, sampler, number of trials and stopping \
               rule; test the rule with replay_early_stopping on earlier runs. Get the cost with estimate_cost. Show \
               the specification, its cost, what each outcome would show, and the smallest difference that it can detect. \
               Start it only after I agree: call start_sweep as a dry run first.",
    },
    Template {
        name: "write_it_up",
        title: "Write it up",
        about: "Writes up what a project has found, from its research journal.",
        arguments: &[("project", "Name of the project; default by default.", false)],
        text: "Write up what the project {project} has found (without a name, the project default). Call write_report until \
               no part is left, get_journal with the project for details, and compare for each claim about a \
               difference. Sections: question, method with budgets and seeds, results with differences, intervals and \
               noise floor, what was refuted, limits, next experiment. Each number carries its unit and the id of its \
               run or experiment. Claim a difference only if its interval excludes 0.",
    },
    Template {
        name: "teach_me_this_run",
        title: "Teach me this run",
        about: "Explains a run to someone who is learning how language models are trained.",
        arguments: &[RUN, ("level", "What the reader knows, in a few words.", false)],
        text: "Teach me what happens in the run {run}. What I know: {level}. Call get_run, get_figure, get_series, \
               get_samples, get_batch for one step, and inspect with logit_lens and attention, as images where they \
               help. Begin with the inputs and outputs, then the model with its numbers, one optimizer step with \
               this run's values, what the curves show, and what the model can do now, with its samples. Ask me one \
               question after each part.",
    },
];

/// All prompts.
pub fn list() -> Vec<Prompt> {
    let argument = |(name, about, is_required): &Argument| {
        PromptArgument::new(*name).with_description(*about).with_required(*is_required)
    };
    let prompt = |template: &Template| {
        let arguments: Vec<PromptArgument> = template.arguments.iter().map(argument).collect();
        let arguments = (!arguments.is_empty()).then_some(arguments);
        Prompt::new(template.name, Some(template.about), arguments).with_title(template.title)
    };
    TEMPLATES.iter().map(prompt).collect()
}

/// A prompt with its arguments.
///
/// # Errors
/// In words: an unknown prompt or argument, or one that is missing.
pub fn get(name: &str, arguments: &JsonObject) -> Result<GetPromptResult, String> {
    let Some(template) = TEMPLATES.iter().find(|template| template.name == name) else {
        return Err(format!("unknown prompt {:?}: prompts/list lists them", short(name, 100)));
    };
    if let Some(unknown) = arguments.keys().find(|key| !template.arguments.iter().any(|(known, ..)| known == key)) {
        return Err(format!("the prompt {name} has no argument {:?}", short(unknown, 100)));
    }
    let mut text = template.text.to_owned();
    for (argument, about, is_required) in template.arguments {
        let given = arguments.get(*argument).and_then(|value| value.as_str()).unwrap_or_default();
        if *is_required && given.trim().is_empty() {
            return Err(format!("the prompt {name} needs the argument {argument}: {about}"));
        }
        text = text.replace(&format!("{{{argument}}}"), &quoted(given));
    }
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(template.about))
}

/// An argument in the text of a prompt: on one line, bounded, and in quotation marks.
fn quoted(given: &str) -> String {
    let line = short(given, ARGUMENT_BYTES).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.is_empty() {
        true => "(not given)".to_owned(),
        false => format!("\"{}\"", line.replace('"', "'").replace(['{', '}'], "")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(name: &str, arguments: serde_json::Value) -> Result<String, String> {
        let result = get(name, arguments.as_object().unwrap())?;
        Ok(result.messages[0].content.as_text().unwrap().text.clone())
    }

    #[test]
    fn a_prompt_has_its_arguments_in_quotation_marks() {
        let read = text("read_curve", json!({ "run": "amber-fox" })).unwrap();
        assert!(read.starts_with("Read the curves of the run \"amber-fox\" (not given). Call get_run"), "{read}");
        let plan =
            text("plan_sweep", json!({ "goal": "a\n\"b\" {device_hours}\u{202e}", "device_hours": "2" })).unwrap();
        assert!(plan.contains("this goal: \"a 'b' device_hours\"."), "{plan}");
        assert!(plan.contains("given: \"2\"."), "{plan}");
        let long = text("teach_me_this_run", json!({ "run": "x".repeat(9_000) })).unwrap();
        assert!(long.len() < 1_500, "{}", long.len());
    }

    #[test]
    fn every_prompt_names_tools_that_exist_and_fills_all_its_arguments() {
        for template in &TEMPLATES {
            let given = template.arguments.iter().map(|(name, ..)| ((*name).to_owned(), json!("x"))).collect();
            let result = get(template.name, &given).unwrap();
            let text = &result.messages[0].content.as_text().unwrap().text;
            assert!(!text.contains('{'), "{text}");
            let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            for word in words.filter(|word| word.contains('_') && !["device_hours", "logit_lens"].contains(word)) {
                assert!(crate::api::mcp::tools::find(word).is_some(), "{}: {word}", template.name);
            }
        }
    }

    #[test]
    fn an_unknown_prompt_and_a_missing_argument_are_named() {
        for (name, arguments, expected) in [
            ("sing", json!({}), "unknown prompt \"sing\": prompts/list lists them"),
            ("read_curve", json!({}), "the prompt read_curve needs the argument run: Id of the run."),
            ("triage_lab", json!({ "mood": "x" }), "the prompt triage_lab has no argument \"mood\""),
        ] {
            assert_eq!(text(name, arguments).unwrap_err(), expected);
        }
    }
}
