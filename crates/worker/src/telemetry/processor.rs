//! Temperature, clock and throttling of the processor, as Linux reports them. Virtual machines usually report none.

use wire::telemetry::Telemetry;

use super::sysfs::Folder;

/// Drivers of processors' temperature sensors: Intel, AMD, and boards with Arm processors.
const SENSORS: [&str; 4] = ["coretemp", "k10temp", "zenpower", "cpu_thermal"];
/// Cores whose clock is read: each costs a call to the core.
const CORES: usize = 64;

pub(super) struct Processor {
    sensors: Vec<Folder>,
    cores: Vec<Folder>,
    /// How often the processors had lowered their clock at the previous measurement.
    throttled: Option<u64>,
}

impl Processor {
    pub(super) fn open(system: &Folder) -> Self {
        let is_sensor = |folder: &Folder| folder.text("name").is_some_and(|name| SENSORS.contains(&name.as_str()));
        let sensors = system.folder("class/hwmon").folders("hwmon").into_iter().filter(is_sensor).collect();
        let cores = system.folder("devices/system/cpu").folders("cpu").into_iter();
        let is_core = |folder: &Folder| folder.integer("cpufreq/scaling_cur_freq").is_some();
        let cores = cores.filter(|core| is_core(core) || throttle_count(core).is_some()).take(CORES).collect();
        Self { sensors, cores, throttled: None }
    }

    pub(super) fn measure(&mut self, telemetry: &mut Telemetry) {
        // The first value of a sensor is that of the whole processor; of several processors the hottest counts.
        let temperatures = self.sensors.iter().filter_map(|sensor| sensor.scaled("temp1_input", 1e3));
        telemetry.temperature_c = temperatures.reduce(f64::max);
        telemetry.clock_mhz = self.clock();
        let throttled = self.cores.iter().filter_map(throttle_count).reduce(u64::max);
        if self.throttled.zip(throttled).is_some_and(|(before, now)| now > before) {
            telemetry.throttle_reasons.push("temperature".to_owned());
        }
        self.throttled = throttled;
    }

    /// Mean of the cores, MHz.
    fn clock(&self) -> Option<f64> {
        let clocks: Vec<f64> =
            self.cores.iter().filter_map(|core| core.scaled("cpufreq/scaling_cur_freq", 1e3)).collect();
        (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64)
    }
}

/// How often the processor of a core has lowered its clock because of its temperature.
fn throttle_count(core: &Folder) -> Option<u64> {
    core.integer("thermal_throttle/package_throttle_count")
}

#[cfg(test)]
mod tests {
    use super::super::sysfs::tests::write;
    use super::*;

    #[test]
    fn the_hottest_processor_the_mean_clock_and_new_throttling_are_reported() {
        let root = tempfile::tempdir().unwrap();
        let count = "devices/system/cpu/cpu0/thermal_throttle/package_throttle_count";
        write(
            root.path(),
            &[
                ("class/hwmon/hwmon0/name", "nvme\n"),
                ("class/hwmon/hwmon0/temp1_input", "99000\n"),
                ("class/hwmon/hwmon1/name", "coretemp\n"),
                ("class/hwmon/hwmon1/temp1_input", "61000\n"),
                ("class/hwmon/hwmon2/name", "coretemp\n"),
                ("class/hwmon/hwmon2/temp1_input", "64500\n"),
                ("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2000000\n"),
                ("devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3000000\n"),
                ("devices/system/cpu/cpufreq/boost", "1\n"),
                (count, "7\n"),
            ],
        );
        let mut processor = Processor::open(&Folder::new(root.path()));
        let mut measure = || {
            let mut telemetry = Telemetry::default();
            processor.measure(&mut telemetry);
            telemetry
        };
        let first = measure();
        assert_eq!((first.temperature_c, first.clock_mhz), (Some(64.5), Some(2500.0)));
        assert!(first.throttle_reasons.is_empty(), "what was counted before says nothing about now");
        write(root.path(), &[(count, "9\n")]);
        assert_eq!(measure().throttle_reasons, ["temperature"]);
        assert!(measure().throttle_reasons.is_empty());
    }

    #[test]
    fn a_machine_without_sensors_reports_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut telemetry = Telemetry::default();
        Processor::open(&Folder::new(root.path())).measure(&mut telemetry);
        assert_eq!(telemetry, Telemetry::default());
    }
}
