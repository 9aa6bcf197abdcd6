//! The difference of the losses of two runs in words.

use figure::number;
use wire::series::Difference;

/// `Over all steps since then (7 501 to 7 999), the loss of owl is on average 0.071 ± 0.004 nats/token lower than that of fox (± 2 standard
/// errors).`
///
/// `over` names the steps: `Over all steps since then`. A difference within two standard errors, or over too few steps, is said to be that.
pub(crate) fn difference_in_words(difference: &Difference, over: &str, run: &str, with: &str) -> String {
    if !difference.has_enough_steps() {
        let steps = match difference.steps() {
            1 => "1 step".to_owned(),
            steps => format!("{} steps", number::whole(steps)),
        };
        return format!("Only {steps} to compare: too few to tell a difference from noise.");
    }
    let (first, last) = (number::whole(difference.step), number::whole(difference.last_step));
    let over = format!("{over} ({first} to {last})");
    let error = number::short(difference.error());
    let size = format!("{} ± {error} nats/token", number::short(difference.mean.abs()));
    let word = if difference.mean < 0.0 { "lower" } else { "higher" };
    match difference.mean.abs() > difference.error() {
        true => {
            format!("{over}, the loss of {run} is on average {size} {word} than that of {with} (± 2 standard errors).")
        }
        false => {
            let mean = number::short(difference.mean);
            format!(
                "{over}, the mean difference is {mean} ± {error} nats/token (± 2 standard errors). That range includes 0: no difference is \
                 measurable."
            )
        }
    }
}

/// `Over the last 10 % of them`: the newest of the steps that are named before.
pub(crate) fn newest_part(newest: &Difference, whole: &Difference, of: &str) -> String {
    let percent = 100.0 * newest.steps() as f64 / whole.steps() as f64;
    format!("Over the last {percent:.0}{}% of {of}", number::THIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_judged_by_its_standard_error_and_its_number_of_steps() {
        let words = |last_step, mean: f64, error: f64| {
            let difference = Difference { step: 101, last_step, mean, low: mean - error, high: mean + error };
            difference_in_words(&difference, "Over all common steps", "owl", "fox")
        };
        assert!(words(600, -0.07, 0.01).contains("0.07 ± 0.01 nats/token lower than that of fox"));
        assert!(words(600, 0.07, 0.01).contains("higher"));
        assert!(words(600, -0.07, 0.01).starts_with("Over all common steps (101 to 600), the loss of owl"));
        assert!(
            words(600, -0.07, 0.08).contains("−0.07 ± 0.08 nats/token (± 2 standard errors). That range includes 0")
        );
        assert_eq!(words(101, -0.07, 0.0), "Only 1 step to compare: too few to tell a difference from noise.");
    }
}
