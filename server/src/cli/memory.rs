//! The memory of processes: which may be dumped, and which uses huge pages.

/// Disables core dumps of this process, which holds tokens: a dump would contain them. On Linux, other processes of the same user cannot
/// read its memory either.
#[cfg(unix)]
pub(super) fn keep_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!("core dumps could not be disabled: {error}");
    }
    // With a handler of dumps in /proc/sys/kernel/core_pattern, the limit alone does not prevent them.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!("the memory of this process stays readable: {error}");
    }
}

#[cfg(not(unix))]
pub(super) fn keep_private() {}

/// Lets this process use huge pages, or not. The allocator requests them for all of its memory. They speed up training, but a server
/// allocates little here and there: with pages of 2 MB it held 17 MB more (measured). Processes that a server starts inherit its choice,
/// so each makes its own.
#[cfg(target_os = "linux")]
pub(super) fn use_huge_pages(is_used: bool) {
    // Whoever sets the option of the allocator has chosen.
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_some() {
        return;
    }
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(!is_used) {
        tracing::debug!("huge pages could not be configured: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn use_huge_pages(_is_used: bool) {}
