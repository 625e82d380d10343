"""lotPro's promises as data: the privacy policy clause by clause, the permission table, the data manifest's shape."""

from lotpro_policy.document import Clause, Policy, ProofKind, Retention, policy
from lotpro_policy.manifest import Manifest, load_manifest, parse_manifest, undeclared
from lotpro_policy.permissions import Access, Permission, Scope, UnknownPermission, access

__all__ = [
    "Access",
    "Clause",
    "Manifest",
    "Permission",
    "Policy",
    "ProofKind",
    "Retention",
    "Scope",
    "UnknownPermission",
    "access",
    "load_manifest",
    "parse_manifest",
    "policy",
    "undeclared",
]
