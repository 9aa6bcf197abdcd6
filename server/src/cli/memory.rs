//! Core dumps are disabled in processes that hold tokens: a dump would contain them.

/// Disables core dumps of this process, and on Linux the reading of its memory by other processes of the same user.
#[cfg(unix)]
pub(super) fn keep_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!("core dumps stay enabled: {error}");
    }
    // With a handler of dumps in /proc/sys/kernel/core_pattern, the limit alone does not prevent them.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!("the memory of this process stays readable: {error}");
    }
}

#[cfg(not(unix))]
pub(super) fn keep_private() {}
