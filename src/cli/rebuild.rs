use std::process::ExitCode;

use serde_json::json;

use super::{Failure, output::Output, settings::Settings};
use crate::store::{DataFolder, Limits, OpenOptions, rebuild};

/// Cuts the sums by day anew. No server may run on the data directory.
pub(super) async fn run(settings: &Settings, output: Output) -> Result<ExitCode, Failure> {
    if !settings.database.exists() {
        return Err(Failure::new(format!(
            "there is no database {}: name the right one with --data-dir or --database-url",
            settings.database.display()
        )));
    }
    let ours = DataFolder::take(&settings.data_dir, &settings.database)
        .map_err(|error| Failure::told(&error))?;
    ours.check_database(&settings.database).map_err(|error| Failure::told(&error))?;
    let options = OpenOptions {
        database: settings.database.clone(),
        time_zone: settings.time_zone.clone(),
        limits: Limits {
            disk_reserve_bytes: settings.disk.reserve_bytes,
            ..Limits::of_quarantine(settings.quarantine.max_bytes)
        },
    };
    let zone = rebuild(&options).await.map_err(|error| Failure::told(&error))?;
    let people = format!("The sums of each SIM are made anew, by the days of {zone}.");
    output.text(&people, &json!({"time_zone": zone}))?;
    Ok(ExitCode::SUCCESS)
}
