//! The difference of the losses of two runs in words.

use figure::number;
use wire::series::Difference;

/// `Over steps 7 501 to 7 999, the loss of owl is on average 0.071 ± 0.004 nats/token lower than that of fox (± 2 standard errors).`
///
/// A difference within two standard errors, or over too few steps, is said to be that.
pub(crate) fn difference_in_words(difference: &Difference, run: &str, with: &str) -> String {
    if !difference.has_enough_steps() {
        let steps = match difference.steps() {
            1 => "1 step".to_owned(),
            steps => format!("{} steps", number::whole(steps)),
        };
        return format!("Only {steps} to compare: too few to tell a difference from noise.");
    }
    let over = format!("Over steps {} to {}", number::whole(difference.step), number::whole(difference.last_step));
    let size = format!("{} ± {} nats/token", number::short(difference.mean.abs()), number::short(difference.error()));
    let word = if difference.mean < 0.0 { "lower" } else { "higher" };
    match difference.mean.abs() > difference.error() {
        true => {
            format!("{over}, the loss of {run} is on average {size} {word} than that of {with} (± 2 standard errors).")
        }
        false => {
            format!("{over}, the mean difference of {size} is within 2 standard errors: no difference is measurable.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_judged_by_its_standard_error_and_its_number_of_steps() {
        let words = |last_step, mean: f64, error: f64| {
            let difference = Difference { step: 101, last_step, mean, low: mean - error, high: mean + error };
            difference_in_words(&difference, "owl", "fox")
        };
        assert!(words(600, -0.07, 0.01).contains("0.07 ± 0.01 nats/token lower than that of fox"));
        assert!(words(600, 0.07, 0.01).contains("higher"));
        assert!(words(600, -0.07, 0.08).contains("within 2 standard errors"));
        assert_eq!(words(101, -0.07, 0.0), "Only 1 step to compare: too few to tell a difference from noise.");
    }
}
