"""The local Service Bus: an AMQP 1.0 broker that the real azure-servicebus SDK cannot tell from Azure's."""
