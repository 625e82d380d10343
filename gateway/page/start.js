// Starts Swagger UI on the joined document. A file of its own, because the page's policy allows no inline script.
"use strict";

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  operationsSorter: "alpha",
  requestSnippetsEnabled: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // A pasted token stays in this tab's memory and is forgotten with it.
  persistAuthorization: false,
});
