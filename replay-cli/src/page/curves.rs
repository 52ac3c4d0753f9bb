//! Pages of curves and tables: `replay analyse`, `replay eval`.
use serde::Serialize;

use super::render::{PageError, Parts, render};

/// What the page shows.
#[derive(Debug, Serialize)]
pub struct CurvesData<'a> {
    /// Of the page.
    pub title: &'a str,
    /// Under the title.
    pub subtitle: &'a str,
    /// How to read it.
    pub note: &'a str,
    /// In order.
    pub charts: Vec<Chart>,
    /// In order.
    pub tables: Vec<TableData>,
}

/// One chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// Over it.
    pub title: String,
    /// Along the x axis.
    pub x_label: String,
    /// Along the y axis.
    pub y_label: String,
    /// Shared by all series.
    pub x: Vec<f64>,
    /// Lines.
    pub series: Vec<Series>,
    /// Whether x grows by factors.
    pub log_x: bool,
}

/// One line, with a band if `low` and `high` are there.
#[derive(Debug, Serialize)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// One value for each x.
    pub y: Vec<f64>,
    /// Lower end of the band.
    pub low: Option<Vec<f64>>,
    /// Upper end of the band.
    pub high: Option<Vec<f64>>,
}

/// One table.
#[derive(Debug, Serialize)]
pub struct TableData {
    /// Over it.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
}

/// # Errors
/// If the data cannot be written as JSON.
pub fn curves(data: &CurvesData<'_>) -> Result<String, PageError> {
    let parts = Parts {
        styles: &[include_str!("page.css"), include_str!("curves.css")],
        scripts: &[
            include_str!("page.js"),
            include_str!("colour.js"),
            include_str!("chart.js"),
            include_str!("curves.js"),
        ],
    };
    render(&parts, data.title, data)
}
