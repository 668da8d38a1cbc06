//! What the log is to know of tables and scales.

use super::{Desk, LoadError};
use psd::certifying::{Basis, ReadingsSigned, RegisteredScale, TakenTable};
use psdd_certification::scale::{Scale, Signing};
use psdd_rates::Published;

impl Desk {
    /// Every table with its days and its digest, and every scale with its calibration.
    ///
    /// # Errors
    ///
    /// When certifications cannot name a table.
    pub fn basis(&self) -> Result<Basis, LoadError> {
        let tables = self.rates.iter().map(|published| taken(published)).collect::<Result<_, _>>()?;
        Ok(Basis { tables, scales: self.scales.scales().map(registered).collect() })
    }
}

fn taken(published: &Published) -> Result<TakenTable, LoadError> {
    let table = published.table();
    Ok(TakenTable {
        name: table.name().parse().map_err(LoadError::Name)?,
        version: u64::from(table.version()),
        digest: *table.digest(),
        from: table.from(),
        until: table.until(),
    })
}

fn registered(scale: &Scale) -> RegisteredScale {
    let calibration = scale.calibration();
    RegisteredScale {
        scale: scale.id().clone(),
        certificate: calibration.certificate().into(),
        issuer: calibration.issuer().into(),
        from: calibration.from(),
        until: calibration.until(),
        capacity_mg: scale.capacity().0,
        minimum_mg: scale.minimum().0,
        resolution_mg: scale.resolution().0,
        maker: scale.maker().into(),
        model: scale.model().into(),
        site: scale.site().into(),
        signed: match scale.signing() {
            Signing::Never => ReadingsSigned::Never,
            Signing::Optional(spki) => ReadingsSigned::Optional(spki.clone()),
            Signing::Required(spki) => ReadingsSigned::Required(spki.clone()),
        },
    }
}
