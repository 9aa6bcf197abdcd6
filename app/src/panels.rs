//! The instruments of the Run page.
