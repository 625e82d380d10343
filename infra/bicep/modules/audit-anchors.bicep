metadata description = 'Where the signed checkpoints of the security log are kept: outside its database, written once.'

// An account of its own: locking the policy keeps the account from being deleted, and its lifecycle rule is its only one.
// Anchors name nobody, so nothing in here ever has to be erased for a person.

@description('Name of the storage account, of this module alone; https://<name>.blob... is audit\'s LOTPRO_BLOB_URL.')
@minLength(3)
@maxLength(24)
param accountName string

param location string = resourceGroup().location

@description('Object id of audit\'s managed identity.')
param auditPrincipalId string

@description('How long an anchor cannot be changed or deleted by anybody: 24 months (policy, legal_records), so that whatever was disclosed can be held against the log for as long as that is on record.')
@minValue(731)
param immutableDays int = 731

@description('Where the account\'s own log of who read and wrote goes.')
param logWorkspaceId string

@allowed([ 'Standard_GZRS', 'Standard_ZRS' ])
param sku string = 'Standard_GZRS'

param tags object = {}

// The service's own name: `lotpro_kit` gives each service the container of its name.
var containerName = 'audit'

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: accountName
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Disabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: 'Deny'
    }
    encryption: {
      keySource: 'Microsoft.Storage'
      requireInfrastructureEncryption: true
      services: { blob: { enabled: true, keyType: 'Account' } }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {}
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: containerName
  properties: { publicAccess: 'None' }
}

// Of the whole container, and not of versions: an anchor then cannot even be covered by a newer version of its name.
// A template can only make it unlocked; the deployment locks it once (see README.md), and from then on its days can only
// grow.
resource immutability 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2026-04-01' = {
  parent: container
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: immutableDays
    allowProtectedAppendWrites: false
  }
}

// Anchors go when nobody has to keep them any more: every later one binds all of the log that they did. What a person
// signed about a restored log (`restorations/`) stays.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'old-checkpoints'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: [ 'blockBlob' ]
              prefixMatch: [ '${containerName}/checkpoints/' ]
            }
            actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: immutableDays + 1 } } }
          }
        }
      ]
    }
  }
}

// No built-in role adds without also being allowed to overwrite and delete.
resource anchoring 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'audit-anchors')
  properties: {
    roleName: 'lotPro audit anchors (${uniqueString(resourceGroup().id)})'
    description: 'Reads, lists and adds blobs; changes and deletes none.'
    type: 'CustomRole'
    assignableScopes: [ resourceGroup().id ]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action'
        ]
        notDataActions: []
      }
    ]
  }
}

resource auditAnchors 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: container
  name: guid(container.id, auditPrincipalId, anchoring.id)
  properties: {
    roleDefinitionId: anchoring.id
    principalId: auditPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource log 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'who-read-and-wrote'
  properties: {
    workspaceId: logWorkspaceId
    logs: [ { categoryGroup: 'audit', enabled: true } ]
  }
}

@description('For the private endpoint.')
output accountId string = account.id

@description('Audit\'s LOTPRO_BLOB_URL.')
output blobUrl string = account.properties.primaryEndpoints.blob

output containerName string = container.name
