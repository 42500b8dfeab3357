# A namespace whose events pass a function first, on the `eddyline dev` that runs here.

terraform {
  required_providers {
    eddyline = {
      source = "eddyline/eddyline"
    }
  }
}

provider "eddyline" {
  dev = true
}

resource "eddyline_function" "gate" {
  name   = "drawing-gate"
  module = "${path.module}/../../../target/wasm32-wasip2/release/document_gate.wasm"
}

resource "eddyline_namespace" "drawing" {
  name                = "drawing"
  gate                = eddyline_function.gate.name
  deletion_protection = false # so that `terraform destroy` takes it away again
}
