//! The products that the tool knows, by name: their tenants, the variables of their functions, the paths of their
//! endpoints. What opening a session asks of each is told by the function `sessions`, so that a session which this tool
//! opens is one that a backend would have opened. A product is added here with one arm, and with a story in
//! [`crate::demo`].

use clap::{Args, ValueEnum};
use dreadnode_refresh::policy as dreadnode;
use elastic_refresh::policy as elastic;
use replyke_refresh::policy as replyke;
use rondo_shared::identity::Tenant;
use uniqos_refresh::policy as uniqos;

use crate::failure::Failure;

/// The project of demo data, and of commands that name none.
pub const DEMO_PROJECT: &str = "demo";

/// A product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Product {
    /// Uniqos.
    Uniqos,
    /// Dreadnode.
    Dreadnode,
    /// Elastic Cloud Enterprise.
    Elastic,
    /// Replyke.
    Replyke,
}

/// Which product is meant, and which of its projects.
#[derive(Args, Clone, Debug)]
pub struct ProductArguments {
    /// The product.
    #[arg(long, value_enum, default_value_t = Product::Uniqos)]
    pub product: Product,
    /// Its project, of a product that has projects [default: demo]. A project needs no item of its own: it is there as
    /// soon as it has a user.
    #[arg(long, value_name = "ID")]
    pub project: Option<String>,
}

impl ProductArguments {
    /// The tenant that is meant.
    ///
    /// # Errors
    /// [`Failure::Misused`] where there can be no such project.
    pub fn tenant(&self) -> Result<Tenant, Failure> {
        if self.project.is_some() && !self.product.has_projects() {
            return Err(Failure::Misused("this product has no projects: leave --project out"));
        }
        let tenant = self.product.tenant(self.project.as_deref().unwrap_or(DEMO_PROJECT));
        tenant.ok_or(Failure::Misused("a project is named by letters, digits, '-', '_' and '.', 72 at most"))
    }
}

/// What the tool knows of a product.
struct Facts {
    name: &'static str,
    prefix: &'static str,
    function: &'static str,
    /// With `{projectId}` in it, where the product has projects.
    path: &'static str,
    has_projects: bool,
    has_passwords: bool,
    status_of_nobody: u16,
    tenant: fn(&str) -> Option<Tenant>,
}

impl Product {
    /// All of it: an arm for each product.
    const fn facts(self) -> Facts {
        match self {
            Self::Uniqos => Facts {
                name: uniqos::PRODUCT,
                prefix: "UNIQOS_",
                function: "uniqos-refresh",
                path: "/v1/auth/refresh",
                has_projects: false,
                has_passwords: false,
                status_of_nobody: 401,
                tenant: |_| Some(uniqos::tenant()),
            },
            Self::Dreadnode => Facts {
                name: dreadnode::PRODUCT,
                prefix: "DREADNODE_",
                function: "dreadnode-refresh",
                path: "/api/v1/auth/refresh",
                has_projects: false,
                has_passwords: false,
                status_of_nobody: 401,
                tenant: |_| Some(dreadnode::tenant()),
            },
            Self::Elastic => Facts {
                name: elastic::PRODUCT,
                prefix: "ELASTIC_",
                function: "elastic-refresh",
                path: "/api/v1/users/auth/_refresh",
                has_projects: false,
                has_passwords: true,
                status_of_nobody: 401,
                tenant: |_| Some(elastic::tenant()),
            },
            Self::Replyke => Facts {
                name: replyke::PRODUCT,
                prefix: "REPLYKE_",
                function: "replyke-refresh",
                path: "/api/v6/{projectId}/auth/request-new-access-token",
                has_projects: true,
                has_passwords: false,
                status_of_nobody: 200,
                tenant: replyke::tenant,
            },
        }
    }

    /// The product's name in the keyring, and what its tenants begin with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// What the names of its variables begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        self.facts().prefix
    }

    /// The product of a tenant, if the tool knows it.
    #[must_use]
    pub fn of(tenant: &Tenant) -> Option<Self> {
        Self::value_variants().iter().copied().find(|product| product.name() == tenant.product())
    }

    /// Whether each of its projects is a tenant of its own.
    #[must_use]
    pub const fn has_projects(self) -> bool {
        self.facts().has_projects
    }

    /// Whether its users may sign in by a password.
    #[must_use]
    pub const fn has_passwords(self) -> bool {
        self.facts().has_passwords
    }

    /// The tenant of a project, which a product without projects does not look at; none where no project can be called
    /// so.
    #[must_use]
    pub fn tenant(self, project: &str) -> Option<Tenant> {
        (self.facts().tenant)(project)
    }

    /// The function that answers refreshes.
    #[must_use]
    pub const fn function(self) -> &'static str {
        self.facts().function
    }

    /// The path that it answers at.
    #[must_use]
    pub fn refresh_path(self, project: &str) -> String {
        self.facts().path.replace("{projectId}", project)
    }

    /// The status of its answer to a request that presents nothing.
    #[must_use]
    pub const fn status_of_nobody(self) -> u16 {
        self.facts().status_of_nobody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_gateway_routes_every_product_to_its_function() {
        let workspace = include_str!("../../../Cargo.toml");
        for product in Product::value_variants() {
            let route = format!("\"{}\" = \"{}\"", product.refresh_path("{projectId}"), product.function());
            assert!(workspace.contains(&route), "{route} is missing from [workspace.metadata.lambda.watch.router]");
        }
    }

    #[test]
    fn a_project_belongs_to_its_product() {
        assert_eq!(Product::of(&Tenant::new("uniqos").unwrap()), Some(Product::Uniqos));
        assert_eq!(Product::of(&Tenant::new("replyke:demo").unwrap()), Some(Product::Replyke));
        assert_eq!(Product::of(&Tenant::new("another:project").unwrap()), None);
    }

    #[test]
    fn every_product_is_found_by_its_tenant() {
        for product in Product::value_variants() {
            assert_eq!(Product::of(&product.tenant(DEMO_PROJECT).unwrap()), Some(*product));
        }
    }

    #[test]
    fn only_a_product_with_projects_takes_one() {
        let tenant = |product, project: Option<&str>| {
            ProductArguments { product, project: project.map(str::to_owned) }.tenant().map(String::from)
        };
        assert_eq!(tenant(Product::Replyke, None).unwrap(), "replyke:demo");
        assert_eq!(tenant(Product::Replyke, Some("p-1")).unwrap(), "replyke:p-1");
        assert_eq!(tenant(Product::Elastic, None).unwrap(), "elastic");
        for (product, project) in [(Product::Elastic, "p-1"), (Product::Replyke, "a:b"), (Product::Replyke, "")] {
            assert_eq!(tenant(product, Some(project)).unwrap_err().exit_code(), 2, "{project}");
        }
    }
}
