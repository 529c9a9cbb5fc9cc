# The console behind an Application Load Balancer that logs people in. Names and addresses are examples.

variable "vpc" { type = string }
variable "load_balancer" { type = string }
variable "load_balancer_group" { type = string }
variable "listener" { type = string }
variable "client_secret" {
  type      = string
  sensitive = true
}

# Only the load balancer reaches the console.
resource "aws_security_group" "console" {
  name   = "trigger-deploy-console"
  vpc_id = var.vpc
}

resource "aws_vpc_security_group_ingress_rule" "console" {
  security_group_id            = aws_security_group.console.id
  referenced_security_group_id = var.load_balancer_group
  ip_protocol                  = "tcp"
  from_port                    = 7117
  to_port                      = 7117
}

# S3, SNS, SQS, STS, KMS, and the public keys of load balancers.
resource "aws_vpc_security_group_egress_rule" "console" {
  security_group_id = aws_security_group.console.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# A health check names the console by its address, and the console answers no host but its own: with 421.
resource "aws_lb_target_group" "console" {
  name     = "trigger-deploy-console"
  vpc_id   = var.vpc
  port     = 7117
  protocol = "HTTP"

  health_check {
    path    = "/"
    matcher = "421"
  }
}

locals {
  oidc = {
    issuer                 = "https://acme.okta.com"
    authorization_endpoint = "https://acme.okta.com/oauth2/v1/authorize"
    token_endpoint         = "https://acme.okta.com/oauth2/v1/token"
    user_info_endpoint     = "https://acme.okta.com/oauth2/v1/userinfo"
    client_id              = "0oa1b2c3d4"
    scope                  = "openid email groups"
  }
}

# The requests of the page: whoever is not logged in gets 401, not a redirect that a script cannot follow.
resource "aws_lb_listener_rule" "console_api" {
  listener_arn = var.listener
  priority     = 10

  condition {
    host_header { values = ["deploys.acme.com"] }
  }
  condition {
    path_pattern { values = ["/api/*"] }
  }

  action {
    type = "authenticate-oidc"
    authenticate_oidc {
      issuer                     = local.oidc.issuer
      authorization_endpoint     = local.oidc.authorization_endpoint
      token_endpoint             = local.oidc.token_endpoint
      user_info_endpoint         = local.oidc.user_info_endpoint
      client_id                  = local.oidc.client_id
      client_secret              = var.client_secret
      scope                      = local.oidc.scope
      on_unauthenticated_request = "deny"
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.console.arn
  }
}

# The page itself: whoever opens it logs in first.
resource "aws_lb_listener_rule" "console_page" {
  listener_arn = var.listener
  priority     = 11

  condition {
    host_header { values = ["deploys.acme.com"] }
  }

  action {
    type = "authenticate-oidc"
    authenticate_oidc {
      issuer                     = local.oidc.issuer
      authorization_endpoint     = local.oidc.authorization_endpoint
      token_endpoint             = local.oidc.token_endpoint
      user_info_endpoint         = local.oidc.user_info_endpoint
      client_id                  = local.oidc.client_id
      client_secret              = var.client_secret
      scope                      = local.oidc.scope
      on_unauthenticated_request = "authenticate"
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.console.arn
  }
}

# `trust.alb` of trigger-deploy.yaml.
output "trust_alb" {
  value = var.load_balancer
}
