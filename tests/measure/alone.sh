#!/bin/sh
# Runs the full device check where there is nothing but the program, the C library, the Vulkan loader and Mesa's software driver: an empty
# folder as root, no Rust, no network, no writable home, no /tmp, no /proc; only the folder of the report can be written.
#
#   sudo tests/measure/alone.sh target/release/kindling REPORT_FOLDER [ARGUMENTS OF check]
#
# Needs Debian's libvulkan1 and mesa-vulkan-drivers on this machine, whose files it copies, and root for chroot.
set -eu

program=$1
report=$2
shift 2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

loader=$(ldconfig -p | sed -n 's/.*libvulkan\.so\.1 .*=> //p' | head -n 1)
driver=$(find /usr/lib -name 'libvulkan_lvp.so' | head -n 1)
test -n "$loader" && test -n "$driver" || { echo "libvulkan1 or mesa-vulkan-drivers is not installed" >&2; exit 1; }

# Each library at its own place, as the loader of the C library looks for it.
for file in "$loader" "$driver" $(ldd "$program" "$loader" "$driver" | grep -o '/[^ ]*' | grep -v ':$' | sort -u); do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
done
mkdir -p "$root/usr/share/vulkan/icd.d" "$root/report" "$root/dev"
printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.230"}}\n' "$driver" \
    > "$root/usr/share/vulkan/icd.d/lvp_icd.json"
mknod -m 666 "$root/dev/null" c 1 3
cp "$program" "$root/kindling"
chmod -R a-w,a+rX "$root"
chown 65534:65534 "$root/report"
chmod 700 "$root/report"
echo "files in it: $(find "$root" -type f | wc -l), $(du -sm "$root" | cut -f 1) MB"

status=0
unshare --net env -i HOME=/nowhere PATH=/ "$(command -v chroot)" --userspec=65534:65534 "$root" \
    /kindling check --full --report /report "$@" || status=$?
mkdir -p "$report"
cp "$root/report/report.json" "$root/report/report.md" "$report/"
chmod -R u+w "$root"
exit "$status"
